"""The templates of emails, as package data."""
