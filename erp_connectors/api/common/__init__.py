"""Parts that all routes share: errors, input, pages, idempotency."""
