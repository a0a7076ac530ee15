"""Faults at random moments of a whole service at work, and what became of everything that was due.

`python -m tests.faults` runs the matrix of docs/reliability.md. Every run is seeded; what the customers of the sandbox
do is known, so what must stand in the database and in the mail at the end is known, too.
"""
