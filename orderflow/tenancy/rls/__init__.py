"""Row-level security: the policies, and putting them into the database."""
