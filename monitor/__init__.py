"""The service around `checks`: who is watched, when, what is remembered and who is told."""
