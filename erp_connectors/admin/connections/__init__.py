"""Set up connections, test them, and pin host keys."""
