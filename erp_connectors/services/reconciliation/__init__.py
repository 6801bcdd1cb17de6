"""Compare database, archive and dropzone; change nothing."""
