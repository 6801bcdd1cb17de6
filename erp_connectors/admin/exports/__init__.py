"""Exports: the list, the pages of one, and what a user can do to it."""
