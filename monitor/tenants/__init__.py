"""The tenants file, its sync into the database, and the credentials, manifests and keys that checks need."""
