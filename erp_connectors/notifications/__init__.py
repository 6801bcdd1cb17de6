"""Notify users by e-mail, and programs by signed webhooks, of the changes in the outbox."""
