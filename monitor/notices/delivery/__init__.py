"""From a written notice to the mail server: outbox, sender, transport, backoff."""
