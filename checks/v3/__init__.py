"""One check of a Harvest v3 credential: gate, what the auth server answers, verdicts, check."""
