"""Exports, and answers that users record."""
