"""Find out what was sent since the backup, after a restore."""
