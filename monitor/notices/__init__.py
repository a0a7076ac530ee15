"""What is told to whom: composing and braking notices, the outbox, and the ways a mail leaves.

`composer.Composer` turns causes into notices, `outbox.Outbox` sends them by its `courier.Courier`, `holds` lets an
operator release, retry or drop what is held or failed, `at_once` writes the notices that never wait.
"""
