"""Where checks run: in this process."""
