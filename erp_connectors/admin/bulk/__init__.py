"""Actions on many orders."""
