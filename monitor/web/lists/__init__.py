"""The lists that are data: one definition for the API, CSV and JSON."""
