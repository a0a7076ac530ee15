"""Notices: which causes go to whom in which email, and how each email reaches its reader.

`compose` turns causes into notices, grouped and braked; `immediate` writes the notices that never wait; `content` holds
the values and words of each message; `delivery` sends what is due. `operator_actions` is what an operator does with
notices by command. Imports go one way: compose, immediate, content, the files of this folder; delivery stands beside
them and uses only the files of this folder.
"""
