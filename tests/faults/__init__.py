"""Injects faults into a running service at random moments, and compares what it recorded with what it should have.

`python -m tests.faults` runs the matrix of docs/reliability.md. Every run is seeded. The script knows what the
sandbox's customers do, and so what must be in the database and in the mail at the end.
"""
