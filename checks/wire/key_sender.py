"""Sends the requests of one Harvest key: one at a time, within the limits, repeated by rule, counted."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress

from checks.answer import Answer, AnswerKind
from checks.catalogue.entry import Entry, WriteProbes
from checks.credential import Secret
from checks.v1.check import SendGuard
from checks.wire.key_client import KeySession
from checks.wire.request_pacing import REPEATED_ONCE, TRIES_WHEN_LIMITED, RequestPacing


class PacedKeySender:
    """`permitted` is how far write probes may go."""

    def __init__(self, session: KeySession, secret: Secret, pacing: RequestPacing, permitted: WriteProbes) -> None:
        self._session = session
        self._secret = secret
        self._pacing = pacing
        self.permitted = permitted
        # If requests of one key are made side by side, the second heeds the pause that the first answer asks for.
        self._one_at_a_time = asyncio.Lock()

    @property
    def requests(self) -> int:
        return self._pacing.requests

    async def send(self, entry: Entry, guard: SendGuard) -> Answer | None:
        """The answer, after up to three tries while rate-limited and, for a GET, one repeat of what was no answer.

        None if the guard did not let it go.
        """
        async with self._one_at_a_time:
            answer = await self._within_limits(entry, guard)
            # A write without an answer may have arrived: only a 429 says that it was not carried out.
            if answer is not None and entry.method == "GET" and answer.kind in REPEATED_ONCE:
                answer = await self._within_limits(entry, guard)
            return answer

    async def _within_limits(self, entry: Entry, guard: SendGuard) -> Answer | None:
        answer = None
        for _ in range(TRIES_WHEN_LIMITED):
            await self._pacing.wait_for_turn()
            # After the wait: a halt, a pause or the deadline may have come meanwhile.
            if not await guard.may_send(entry):
                return None
            exchange = self._exchange(entry, guard)
            answer = await (_to_the_end(exchange) if entry.is_write else exchange)
            if answer.kind is not AnswerKind.RATE_LIMITED:
                break
        return answer

    async def _exchange(self, entry: Entry, guard: SendGuard) -> Answer:
        answer, limit = await self._session.send(entry, self._secret, self.permitted)
        self._pacing.count(entry, answer, limit)
        await guard.answered(entry, answer)
        return answer


async def _to_the_end(exchange: Coroutine[None, None, Answer]) -> Answer:
    """Wait for the answer to a write that has left even if its check is cancelled, twice even: a 2xx must be seen.

    It ends by itself within the time one request may take.
    """
    task = asyncio.create_task(exchange)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        raise
