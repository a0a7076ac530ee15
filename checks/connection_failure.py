"""Why no answer came from Greenhouse: a documented code, and a sentence that names what an operator looks for."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class FailureCode(StrEnum):
    """A `detail` of the state `unreachable`; the words are in reasons.DETAILS."""

    NAME_NOT_FOUND = "name_not_found"
    NAME_TIMEOUT = "name_timeout"
    CONNECTION_REFUSED = "connection_refused"
    NO_ROUTE = "no_route"
    CONNECT_TIMEOUT = "connect_timeout"
    CERTIFICATE_UNTRUSTED = "certificate_untrusted"
    CERTIFICATE_EXPIRED = "certificate_expired"
    CERTIFICATE_NAME = "certificate_name"
    TLS_FAILED = "tls_failed"
    TLS_TIMEOUT = "tls_timeout"
    PROXY_NOT_FOUND = "proxy_not_found"
    PROXY_REFUSED = "proxy_refused"
    PROXY_TIMEOUT = "proxy_timeout"
    PROXY_LOGIN = "proxy_login"
    PROXY_DENIED = "proxy_denied"
    PROXY_FAILED = "proxy_failed"
    CONNECTION_RESET = "connection_reset"
    CONNECTION_CLOSED = "connection_closed"
    NOT_HTTP = "not_http"
    NO_FILE_HANDLES = "no_file_handles"
    ANSWER_TIMEOUT = "timeout"
    OTHER = "no_connection"


OURS = frozenset(
    {
        FailureCode.PROXY_NOT_FOUND,
        FailureCode.PROXY_REFUSED,
        FailureCode.PROXY_LOGIN,
        FailureCode.PROXY_DENIED,
        FailureCode.NO_FILE_HANDLES,
    }
)
"""What lies with the monitor's own installation for certain; the others may be Greenhouse's or a network's."""


@dataclass(frozen=True, slots=True)
class ConnectionFailure:
    """`message` names server, proxy and certificate, and holds no secret; like every error, it goes into logs."""

    code: FailureCode
    message: str


_MOST_SENTENCES = 3


def explanation(detail: str, failures: Iterable[ConnectionFailure]) -> str:
    """What a credential's `detail` says as a code, in sentences; empty where it speaks of no connection."""
    if detail not in _CODES:
        return ""
    failures = list(failures)
    of_it = [failure.message for failure in failures if failure.code == detail]
    # Where the failures differ, the detail is what they have in common, and each of them is told.
    told = dict.fromkeys(of_it[:1] or [failure.message for failure in failures])
    return "; ".join(list(told)[:_MOST_SENTENCES])


_CODES = frozenset(FailureCode)
