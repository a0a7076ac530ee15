"""Serves a sandbox over HTTP, together with its mail server."""
