"""The templates of mails and pages, as package data."""
