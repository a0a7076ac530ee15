"""Between the course of a check and whoever puts its questions: `checks.client.Inquiry`, or a model of Greenhouse."""

from typing import Protocol

from checks.answer import Answer
from checks.catalogue import Entry, WriteProbes


class Watch(Protocol):
    """Asked before every request leaves, repeats included, and told of every answer before anything else happens."""

    async def may_send(self, entry: Entry) -> bool: ...

    async def heard(self, entry: Entry, answer: Answer) -> None: ...


class Asking(Protocol):
    """Puts one question at a time; `ask` gives None if the watch did not let it go.

    `requests` counts what was sent, repeats included.
    """

    permitted: WriteProbes
    requests: int

    async def ask(self, entry: Entry, watch: Watch) -> Answer | None: ...
