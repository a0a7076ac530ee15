"""The breaker: when many tenants meet the same kind of trouble at once, this process goes easy on Greenhouse."""
