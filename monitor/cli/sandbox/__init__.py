"""The `sandbox` commands."""
