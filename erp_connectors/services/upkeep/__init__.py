"""Find what is due, measure, and check files against the contract."""
