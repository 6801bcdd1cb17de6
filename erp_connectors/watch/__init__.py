"""Whether everything works, told to machines (`/readyz`, `/metrics`) and to people (`manage.py doctor`)."""
