"""Our imitation of Greenhouse's Harvest API, for the demo, the tests and training.

It knows Greenhouse and nothing of who asks: what it answers is held to answers on record, not to what a checker
expects. Nothing here opens a connection to anywhere.
"""
