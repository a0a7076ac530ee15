"""An imitation of a mail server, and its mailbox."""
