"""Settings, addresses and secrets, as the operator gives them."""
