"""Deliver what is due: render, stage, publish."""
