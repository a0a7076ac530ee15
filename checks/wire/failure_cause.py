"""From what the libraries raise to why a connection failed: pure."""

import errno
import socket
import ssl
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from checks.connection_failure import ConnectionFailure, FailureCode
from checks.wire.progress import ConnectionProgress, ConnectionStep

_CERTIFICATE = {  # by OpenSSL's X509_V_ERR_*
    9: FailureCode.CERTIFICATE_EXPIRED,  # not valid yet
    10: FailureCode.CERTIFICATE_EXPIRED,
    62: FailureCode.CERTIFICATE_NAME,
    64: FailureCode.CERTIFICATE_NAME,  # of an IP address
}
_ERRNO = {
    errno.ECONNREFUSED: FailureCode.CONNECTION_REFUSED,
    errno.ENETUNREACH: FailureCode.NO_ROUTE,
    errno.EHOSTUNREACH: FailureCode.NO_ROUTE,
    errno.ENETDOWN: FailureCode.NO_ROUTE,
    errno.EPERM: FailureCode.NO_ROUTE,  # a packet filter of this machine
    errno.EACCES: FailureCode.NO_ROUTE,
    errno.EMFILE: FailureCode.NO_FILE_HANDLES,
    errno.ENFILE: FailureCode.NO_FILE_HANDLES,
    errno.ECONNRESET: FailureCode.CONNECTION_RESET,
    errno.ECONNABORTED: FailureCode.CONNECTION_RESET,
    errno.EPIPE: FailureCode.CONNECTION_RESET,
}
_AT_PROXY = {
    FailureCode.NAME_NOT_FOUND: FailureCode.PROXY_NOT_FOUND,
    FailureCode.CONNECTION_REFUSED: FailureCode.PROXY_REFUSED,
    FailureCode.NAME_TIMEOUT: FailureCode.PROXY_TIMEOUT,
    FailureCode.CONNECT_TIMEOUT: FailureCode.PROXY_TIMEOUT,
    FailureCode.CONNECTION_RESET: FailureCode.PROXY_FAILED,
    FailureCode.CONNECTION_CLOSED: FailureCode.PROXY_FAILED,
    FailureCode.NOT_HTTP: FailureCode.PROXY_FAILED,
}
_TIMEOUT = {
    ConnectionStep.RESOLVING: FailureCode.NAME_TIMEOUT,
    ConnectionStep.CONNECTING: FailureCode.CONNECT_TIMEOUT,
    ConnectionStep.HANDSHAKE: FailureCode.TLS_TIMEOUT,
    ConnectionStep.WAITING: FailureCode.ANSWER_TIMEOUT,
}
_LONGEST_NAME = 80


def connection_failure(
    error: BaseException, progress: ConnectionProgress, server: str, proxy: str | None
) -> ConnectionFailure:
    """`server` is host and port of what was asked, `proxy` the proxy's address, with or without a password."""
    code = failure_code(error, progress)
    way = "" if proxy is None else f" (through the proxy {without_password(proxy)})"
    text = _sentence(code, error, progress, server, without_password(proxy) if proxy else "")
    return ConnectionFailure(code, text if code in _NAMES_THE_PROXY or progress.at_proxy else text + way)


def failure_code(error: BaseException, progress: ConnectionProgress) -> FailureCode:
    code = _code(list(_chain(error)), progress)
    return _AT_PROXY.get(code, code) if progress.at_proxy else code


def without_password(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _code(chain: list[BaseException], progress: ConnectionProgress) -> FailureCode:
    for link in chain:
        match link:
            case ssl.SSLCertVerificationError():
                return _CERTIFICATE.get(getattr(link, "verify_code", 0), FailureCode.CERTIFICATE_UNTRUSTED)
            case aiohttp.ClientHttpProxyError():
                return _of_proxy_answer(link.status)
            case socket.gaierror() | aiohttp.ClientConnectorDNSError():
                return FailureCode.NAME_NOT_FOUND
            case TimeoutError():
                return _TIMEOUT[progress.step]
    found = (code for link in chain if (code := _of_one(link)) is not None)
    return next(found, FailureCode.OTHER)


def _of_one(error: BaseException) -> FailureCode | None:
    match error:
        case ssl.SSLError():
            return FailureCode.TLS_FAILED
        case OSError() if error.errno in _ERRNO:
            return _ERRNO[error.errno]
        case ConnectionError():
            return FailureCode.CONNECTION_RESET
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientPayloadError():
            return FailureCode.CONNECTION_CLOSED
        case aiohttp.ClientResponseError():
            return FailureCode.NOT_HTTP
    return None


def _of_proxy_answer(status: int) -> FailureCode:
    match status:
        case 407:
            return FailureCode.PROXY_LOGIN
        case 401 | 403 | 405:
            return FailureCode.PROXY_DENIED
    return FailureCode.PROXY_FAILED


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error, then what caused it: httpx-aiohttp wraps aiohttp's errors, and aiohttp those of the system."""
    while error is not None:
        # These only look like the ssl module's: they lack its attributes, and have the real one as their cause.
        if not isinstance(error, aiohttp.ClientSSLError):
            yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


_NAMES_THE_PROXY = frozenset(
    {
        FailureCode.PROXY_NOT_FOUND,
        FailureCode.PROXY_REFUSED,
        FailureCode.PROXY_TIMEOUT,
        FailureCode.PROXY_LOGIN,
        FailureCode.PROXY_DENIED,
        FailureCode.PROXY_FAILED,
        FailureCode.NO_FILE_HANDLES,
    }
)


def _sentence(code: FailureCode, error: BaseException, progress: ConnectionProgress, server: str, proxy: str) -> str:
    host = server.rpartition(":")[0] or server
    # An https proxy has a certificate of its own.
    peer = f"the proxy {proxy}" if progress.at_proxy else server
    match code:
        case FailureCode.NAME_NOT_FOUND:
            return f"the name {host} cannot be resolved{_system_words(error)}"
        case FailureCode.NAME_TIMEOUT:
            return f"the name {host} was not resolved in time"
        case FailureCode.CONNECTION_REFUSED:
            return f"{server} refuses connections"
        case FailureCode.NO_ROUTE:
            return f"no route leads to {peer}{_system_words(error)}"
        case FailureCode.CONNECT_TIMEOUT:
            return f"{server} did not accept a connection in time"
        case FailureCode.TLS_FAILED:
            return f"the TLS handshake with {peer} failed{_tls_reason(error)}"
        case FailureCode.TLS_TIMEOUT:
            return f"{server} accepted a connection, but did not finish the TLS handshake in time"
        case FailureCode.CERTIFICATE_UNTRUSTED:
            return f"the certificate of {peer} is not trusted: {_described(progress.certificate)}"
        case FailureCode.CERTIFICATE_EXPIRED:
            return f"the certificate of {peer} has expired, or is not valid yet: {_described(progress.certificate)}"
        case FailureCode.CERTIFICATE_NAME:
            return f"the certificate of {peer} is for another name: {_described(progress.certificate)}"
        case FailureCode.CONNECTION_RESET | FailureCode.CONNECTION_CLOSED:
            how = "reset" if code is FailureCode.CONNECTION_RESET else "closed"
            return f"the connection to {server} was {how} {_during(progress.step)}"
        case FailureCode.NOT_HTTP:
            return f"what {server} answered is not HTTP"
        case FailureCode.ANSWER_TIMEOUT:
            return f"{server} took the request, but did not answer in time"
        case FailureCode.NO_FILE_HANDLES:
            return "this process has no file handles left to open a connection with"
        case FailureCode.OTHER:
            return f"no connection to {server} ({type(list(_chain(error))[-1]).__name__})"
    return f"the proxy {proxy} {_of_proxy(code, error, server)}"


def _of_proxy(code: FailureCode, error: BaseException, server: str) -> str:
    status = next((link.status for link in _chain(error) if isinstance(link, aiohttp.ClientHttpProxyError)), None)
    match code:
        case FailureCode.PROXY_NOT_FOUND:
            return f"cannot be resolved{_system_words(error)}"
        case FailureCode.PROXY_REFUSED:
            return "refuses connections"
        case FailureCode.PROXY_TIMEOUT:
            return f"did not open a way to {server} in time"
        case FailureCode.PROXY_LOGIN:
            return "asks for a user and password, or does not accept ours (407)"
        case FailureCode.PROXY_DENIED:
            return f"does not allow connections to {server} ({status})"
    return "closed the connection" if status is None else f"could not reach {server} ({status})"


def _during(step: ConnectionStep) -> str:
    match step:
        case ConnectionStep.HANDSHAKE:
            return "during the TLS handshake"
        case ConnectionStep.WAITING:
            return "before the answer was complete"
    return "while it was opened"


def _system_words(error: BaseException) -> str:
    words = next((link.strerror for link in _chain(error) if isinstance(link, OSError) and link.strerror), None)
    return "" if words is None else f" ({plain(words)})"


def _tls_reason(error: BaseException) -> str:
    reasons = (getattr(link, "reason", None) for link in _chain(error) if isinstance(link, ssl.SSLError))
    reason = next(filter(None, reasons), None)
    return "" if reason is None else f" ({plain(reason.replace('_', ' ').lower())})"


def _described(certificate: Mapping[str, Any] | None) -> str:
    if certificate is None:
        return "nothing more is known of it"
    names = [value for _, value in certificate.get("subjectAltName", ())]
    subject = ", ".join(map(plain, names[:3])) or _named(certificate.get("subject", ()))
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    valid = f"valid from {certificate.get('notBefore')} to {certificate.get('notAfter')}"
    return f"issued by {_named(certificate.get('issuer', ()))}, for {subject}{more}, {valid}"


def _named(distinguished: Any) -> str:
    """The parts of a distinguished name that tell people who it is."""
    parts = {kind: value for relative in distinguished for kind, value in relative}
    known = (parts.get(kind) for kind in ("commonName", "organizationName"))
    return " of ".join(plain(value) for value in known if value) or "nobody named"


def plain(text: str) -> str:
    """A stranger's words, fit for one line of a log: short, and without control characters."""
    shown = "".join(character if character.isprintable() else "?" for character in text)
    return shown if len(shown) <= _LONGEST_NAME else shown[: _LONGEST_NAME - 1] + "…"
