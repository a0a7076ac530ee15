"""Between the course of a check and whoever puts its questions: `checks.wire.sender`, or a model of Greenhouse."""

from collections.abc import Callable
from typing import Protocol

from checks.answer import Answer
from checks.catalogue.endpoints import Entry, WriteProbes
from checks.credential import Token
from checks.v3.token_answers import AuthAnswer


class SendGuard(Protocol):
    """Asked before every request leaves, repeats included, and told of every answer before anything else happens."""

    async def may_send(self, entry: Entry) -> bool: ...

    async def heard(self, entry: Entry, answer: Answer) -> None: ...


class RequestSender(Protocol):
    """Puts one question at a time; `ask` gives None if the watch did not let it go.

    `requests` counts what was sent, repeats included.
    """

    permitted: WriteProbes

    @property
    def requests(self) -> int: ...

    async def ask(self, entry: Entry, watch: SendGuard) -> Answer | None: ...


class TokenRequestSender(Protocol):
    """Asks with a token of Harvest v3, and about it. `may_send` is called before each request, and raises to stop."""

    @property
    def requests(self) -> int: ...

    async def mint(self, may_send: Callable[[], None]) -> AuthAnswer: ...

    async def introspect(self, token: Token, may_send: Callable[[], None]) -> AuthAnswer: ...

    async def list(self, entry: Entry, token: Token, may_send: Callable[[], None]) -> Answer: ...
