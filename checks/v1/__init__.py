"""One check of a Harvest v1/v2 key: gate, verdicts, check."""
