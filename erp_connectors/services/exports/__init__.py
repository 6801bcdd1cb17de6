"""Push orders and keep what every step of an export needs."""
