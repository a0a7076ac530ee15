"""The life of a tenant's trouble, from opened to resolved, and the history of it."""
