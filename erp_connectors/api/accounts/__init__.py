"""Log in, tokens, and who asks."""
