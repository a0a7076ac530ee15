"""What is asked of Greenhouse, and what the answers mean; usable on its own, without the service around it."""
