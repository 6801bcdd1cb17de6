"""Orders, with what needs a connector."""
