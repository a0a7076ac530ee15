"""The imitation of Greenhouse: v1, v3 and the auth server."""
