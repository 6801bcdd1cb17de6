"""Subscriptions to notifications."""
