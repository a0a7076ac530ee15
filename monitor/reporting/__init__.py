"""What people are told about tenants and the service: sentences, causes, lists, reports."""
