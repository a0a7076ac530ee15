"""Who may read and who may act: sign-in, sessions, API tokens, and the middleware before every page."""
