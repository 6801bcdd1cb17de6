"""What all routes share: errors, input, pages, idempotency."""
