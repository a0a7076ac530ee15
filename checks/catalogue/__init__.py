"""All that may ever be sent to Greenhouse: reviewed data, and what reads it."""
