"""Keeping an installation healthy: `doctor`, the database check, pruning, and the numbers behind the gauges."""
