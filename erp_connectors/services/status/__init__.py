"""The read side: what a page or the API shows. Writes nothing."""
