"""The admin pages on which users are managed, and on which users change their own password."""
