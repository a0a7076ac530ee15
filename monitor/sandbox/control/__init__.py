"""How the sandbox is controlled from outside: its JSON API, its page, its client."""
