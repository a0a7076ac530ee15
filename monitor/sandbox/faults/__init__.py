"""The faults the sandbox can play."""
