"""The service around `checks`: who is checked and when, what is recorded, and who is notified."""
