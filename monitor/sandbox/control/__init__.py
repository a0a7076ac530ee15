"""How the sandbox is steered from outside: its API, its page, its client."""
