"""The circuit breaker: when many tenants meet the same trouble at once, this process sends less, or nothing."""
