"""The tenants file, its sync into the database, and who is to be checked with what."""
