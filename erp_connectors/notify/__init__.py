"""Tells people by e-mail, and programs by signed webhooks, what has changed and needs them."""
