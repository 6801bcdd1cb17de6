"""Ack files."""
