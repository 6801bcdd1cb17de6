"""Set up, test and describe connections."""
