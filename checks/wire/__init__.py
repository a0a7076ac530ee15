"""The only connections to Greenhouse: client, rate limit, sender."""
