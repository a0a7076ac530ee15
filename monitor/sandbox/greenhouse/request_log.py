"""What the sandbox was asked and what Greenhouse would have changed: the evidence that nobody was harmed."""

from collections import Counter, deque
from dataclasses import dataclass
from enum import StrEnum


class AnswerReason(StrEnum):
    """Why a request got its answer."""

    FAULT = "fault"
    GET_WITH_BODY = "get_with_body"
    BLOCKED = "blocked"
    RETIRED = "retired"
    RATE_LIMITED = "rate_limited"
    NO_KEY = "no_key"
    MALFORMED_AUTHORIZATION = "malformed_authorization"
    UNKNOWN_KEY = "unknown_key"
    DEAD_KEY = "dead_key"
    NO_ROUTE = "no_route"
    NO_PERMISSION = "no_permission"
    NO_ON_BEHALF_OF = "no_on_behalf_of"
    UNKNOWN_USER = "unknown_user"
    USER_MAY_NOT = "user_may_not"
    NO_RECORD = "no_record"
    PRIVATE_RECORD = "private_record"
    BAD_PAYLOAD = "bad_payload"
    INVALID = "invalid"
    SERVED = "served"
    CHANGED = "changed"
    NO_CLIENT = "no_client"
    MALFORMED_CLIENT = "malformed_client"
    UNKNOWN_CLIENT = "unknown_client"
    WRONG_SECRET = "wrong_secret"  # noqa: S105  # no secret
    DEAD_CLIENT = "dead_client"
    BAD_GRANT = "bad_grant"
    NO_SCOPES = "no_scopes"
    ISSUED = "issued"
    INACTIVE_TOKEN = "inactive_token"  # noqa: S105
    NO_TOKEN = "no_token"  # noqa: S105
    UNKNOWN_TOKEN = "unknown_token"  # noqa: S105
    DEAD_TOKEN = "dead_token"  # noqa: S105
    NO_SCOPE = "no_scope"
    NOT_SITE_ADMIN = "not_site_admin"
    NOT_FOR_THIS_ACCOUNT = "not_for_this_account"


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """One request. Of headers that may hold secrets only their presence is kept; bodies are not kept at all.

    `status` is None if no status was sent. `account` and `key` (the label of the key or client) are None for an unknown
    key, client or token.
    """

    number: int
    at: float
    account: str | None
    key: str | None
    method: str
    target: str
    host: str
    user_agent: str
    authorization: str
    on_behalf_of: bool
    cookie: bool
    body_length: int
    status: int | None
    reason: AnswerReason
    fault: str | None
    set_cookie: bool


@dataclass(frozen=True, slots=True)
class LoggedChange:
    """One change that Greenhouse would have made; `request` is the number of the request that asked for it."""

    request: int
    at: float
    account: str
    method: str
    target: str
    text: str


class RequestLog:
    """The last requests and changes, and counts of all since the last clear."""

    def __init__(self, size: int) -> None:
        self._entries: deque[LoggedRequest] = deque(maxlen=size)
        self._changes: deque[LoggedChange] = deque(maxlen=size)
        self.clear()

    def clear(self) -> None:
        self._entries.clear()
        self._changes.clear()
        self.request_count = 0
        self.change_count = 0
        self.by_account: Counter[str | None] = Counter()
        self.by_status: Counter[int | None] = Counter()

    @property
    def next_number(self) -> int:
        return self.request_count + 1

    def write(self, entry: LoggedRequest, change: LoggedChange | None) -> None:
        self._entries.append(entry)
        self.request_count += 1
        self.by_account[entry.account] += 1
        self.by_status[entry.status] += 1
        if change is not None:
            self._changes.append(change)
            self.change_count += 1

    def entries(self, account: str | None = None, *, after: int = 0) -> list[LoggedRequest]:
        """The entries still kept, oldest first: of one account or of all, with a number greater than `after`."""
        return [e for e in self._entries if e.number > after and account in (None, e.account)]

    def changes(self, account: str | None = None) -> list[LoggedChange]:
        """The changes still kept, oldest first. `change_count` also counts those that are no longer kept."""
        return [c for c in self._changes if account in (None, c.account)]

    @property
    def forgotten(self) -> int:
        """How many entries were dropped and are only counted."""
        return self.request_count - len(self._entries)
