"""Waves of changes, simulated: how many emails to CSMs leave before the brake holds the rest.

The parts are those that ship: comparison, recording, incidents, sampler, brake and composer on an SQLite file, with the
due times of the schedule. Greenhouse, the words of the emails and the outbox are left out, and the clock is moved by
hand. A check that finds nothing new writes what it would write, many in one statement.
"""
