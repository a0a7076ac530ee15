"""Our imitation of Greenhouse's Harvest API, for the demo, the tests and training.

It describes Greenhouse, not its callers: tests compare its answers with recorded ones, not with what a checker expects.
Nothing here connects to another machine. Packages import downwards only: `server` > `control` > the files beside this
one > `mail` > `faults` > `greenhouse`.
"""
