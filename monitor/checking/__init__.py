"""From a credential that is due to a recorded check."""
