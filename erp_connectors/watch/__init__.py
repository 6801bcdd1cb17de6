"""Health checks and metrics, for programs (`/readyz`, `/metrics`) and for operators (`manage.py doctor`)."""
