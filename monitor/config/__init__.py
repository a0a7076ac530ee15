"""What the operator configures: settings, addresses and secrets."""
