"""The health of an installation: doctor, integrity, pruning, gauges."""
