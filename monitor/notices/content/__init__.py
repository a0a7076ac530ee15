"""What emails say: values, templates, a fallback text."""
