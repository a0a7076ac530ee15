"""Serves a sandbox over HTTP, and its mail server beside it."""
