"""The application whose migrations and models the Django test uses."""
