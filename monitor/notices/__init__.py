"""What is told to whom: composing and braking notices, the outbox, and the ways a mail leaves.

`composer.Composer` turns causes into notices, `outbox.Outbox` sends them, `holds` lets an operator release or drop
what the brake holds, `alarm` writes the one notice that never waits.
"""
