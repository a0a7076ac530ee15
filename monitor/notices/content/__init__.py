"""What emails say: messages as values, the templates that word them, and the fallback text for a broken template."""
