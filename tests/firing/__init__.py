"""Makes every alert fire in a real Prometheus, and measures how long it takes to arrive and to end.

`python -m tests.firing` prints the table of docs/alerts.md. Nothing is played to Prometheus: each trouble is that of a
real service, which stands before a sandbox.
"""
