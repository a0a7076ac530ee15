"""Answers that were not given to the request they came for: out of a cache, or given to an earlier one."""

from collections.abc import Mapping

MOST_REMEMBERED = 20_000
"""Ids of answers: at 500 requests a second those of 40 s, and CloudFront keeps an error for 10 s unless told."""


class Copies:
    """Remembers whose answers were heard, by the id that Greenhouse gives to each request."""

    def __init__(self) -> None:
        self._heard: dict[str, None] = {}  # in the order in which they came

    def has(self, status: int, headers: Mapping[str, str]) -> bool:
        """`headers` has lower-case names. An outage is one, also out of a cache."""
        if status >= 500 or status == 429:
            return False
        return _is_cached(headers) or self._was_heard(headers.get("x-request-id", ""))

    def _was_heard(self, request_id: str) -> bool:
        # Without an id nothing can be said; a long text is no id, and not kept.
        if not 0 < len(request_id) <= 100:
            return False
        if request_id in self._heard:
            return True
        self._heard[request_id] = None
        if len(self._heard) > MOST_REMEMBERED:
            del self._heard[next(iter(self._heard))]
        return False


def _is_cached(headers: Mapping[str, str]) -> bool:
    # RFC 9111, 5.1: a cache says Age, the server itself does not. CloudFront stands in front of Greenhouse, and its
    # X-Cache begins with Hit or RefreshHit; "Error from cloudfront" also marks errors that Greenhouse itself gave.
    return "age" in headers or headers.get("x-cache", "").casefold().startswith(("hit", "refreshhit"))
