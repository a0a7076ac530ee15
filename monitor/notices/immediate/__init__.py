"""The notices that wait for no other cause, and that the brake never holds."""
