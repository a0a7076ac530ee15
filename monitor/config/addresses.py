"""Addresses that an operator configures: Greenhouse, mail server, port to listen on.

Each function returns the checked form or raises ValueError. The error never repeats the input: most of these may carry
a password.
"""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from checks.errors import GateRefusal
from checks.origin import is_loopback, origin

_HOST = re.compile(r"[A-Za-z0-9._:-]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class Encryption(StrEnum):
    """How a connection to a mail server is protected; `tls` means from the first byte."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class MailServer:
    host: str
    port: int
    encryption: Encryption
    username: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class MailFolder:
    """A folder that emails are written to instead of being sent, for the demo and for trials."""

    path: Path


@dataclass(frozen=True, slots=True)
class ListenAddress:
    host: str
    port: int


def has_control_characters(text: str) -> bool:
    """Whether the text holds a line break or another character that could end a mail header or forge a log line."""
    return _CONTROL.search(text) is not None


def greenhouse_origin(text: str) -> str:
    """`https://host[:port]`, or http to this machine's loopback: the same rule that the gate applies to requests."""
    _split(text)
    try:
        return str(origin(text))
    except GateRefusal as refusal:
        raise ValueError(f"cannot be used: {refusal}") from None


def page_address(text: str) -> str:
    """The address of our pages, without a slash at the end."""
    parts = _split(text)
    if parts.scheme not in ("http", "https") or "@" in parts.netloc or _has_query_or_fragment(text) or not _host(parts):
        raise ValueError("must be an address such as https://monitor.vendor.example, without user, ? or #")
    return text.rstrip("/")


def is_unprotected(address: str) -> bool:
    """Whether it is plain http to another machine."""
    parts = urlsplit(address)
    return parts.scheme == "http" and not is_loopback(_host(parts))


def issuer_address(text: str) -> str:
    """The address of an OpenID provider or of a part of it, unchanged: https, or http to this machine's loopback."""
    parts = _split(text)
    usable = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(_host(parts)))
    if not usable or "@" in parts.netloc or "#" in text or not _host(parts):
        raise ValueError("must be an https address such as https://id.vendor.example/realms/staff, without user or #")
    return text


def proxy_address(text: str) -> str:
    parts = _split(text)
    if (
        parts.scheme not in ("http", "https")
        or parts.path not in ("", "/")
        or _has_query_or_fragment(text)
        or not _host(parts)
    ):
        raise ValueError("must be an address such as http://user:password@proxy.example:3128")
    return text.rstrip("/")


def listen_address(text: str) -> ListenAddress:
    """`host:port`, an IPv6 host in brackets; port 0 lets the system choose."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not re.fullmatch(r"[A-Za-z0-9.:-]+", host) or not re.fullmatch(r"[0-9]{1,5}", port):
        raise ValueError("must be host:port, such as 127.0.0.1:9808, or 0.0.0.0:9808 for every interface")
    if int(port) > 65535:
        raise ValueError("must end with a port from 0 to 65535")
    return ListenAddress(host, int(port))


def mail_target(text: str) -> MailServer | MailFolder:
    """`smtp://user:password@host:587`, `smtps://…`, or `mailbox:/folder`.

    smtp:// uses STARTTLS. `?tls=none` is for this machine's loopback; any other host also needs `&insecure=yes`, and
    must be a relay without a password.
    """
    if text.startswith("mailbox:"):
        return _mail_folder(text.removeprefix("mailbox:"))
    parts = _split(text)
    if parts.scheme not in ("smtp", "smtps") or not _host(parts) or parts.path not in ("", "/") or parts.fragment:
        raise ValueError(
            "must be smtp://user:password@host:587, smtps://… or mailbox:/folder, with special characters of the "
            "password %-encoded"
        )
    server = _mail_server(parts, _options(parts.query))
    if (server.username is None) != (server.password is None):
        raise ValueError("names a user without a password, or a password without a user")
    return server


def _mail_folder(path: str) -> MailFolder:
    if not path or has_control_characters(path):
        raise ValueError("must name a folder after mailbox:, such as mailbox:/var/lib/harvest-monitor/mail")
    return MailFolder(Path(path))


def _options(query: str) -> dict[str, str]:
    options = dict(parse_qsl(query, keep_blank_values=True))
    if not options.keys() <= {"tls", "insecure"}:
        raise ValueError("takes only the options tls=starttls, tls=none and insecure=yes after the ?")
    return options


def _mail_server(parts: SplitResult, options: dict[str, str]) -> MailServer:
    encryption = _encryption(parts, options)
    return MailServer(
        host=_host(parts),
        # The ports for submission: RFC 8314 with TLS from the first byte, RFC 6409 with STARTTLS.
        port=parts.port or (465 if encryption is Encryption.TLS else 587),
        encryption=encryption,
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
    )


def _encryption(parts: SplitResult, options: dict[str, str]) -> Encryption:
    if parts.scheme == "smtps":
        if options:
            raise ValueError("takes no options with smtps://, which is encrypted from the first byte")
        return Encryption.TLS
    match options.get("tls", "starttls"):
        case "starttls":
            return Encryption.STARTTLS
        case "none" if is_loopback(_host(parts)):
            return Encryption.NONE
        case "none" if options.get("insecure") == "yes" and "@" not in parts.netloc:
            return Encryption.NONE
        case "none":
            raise ValueError(
                "asks for no encryption to another host: use STARTTLS (leave out tls=none) or smtps://; only a relay "
                "without a password may use tls=none&insecure=yes"
            )
    raise ValueError("takes tls=starttls or tls=none only")


def _split(text: str) -> SplitResult:
    # urlsplit silently drops line breaks and tabs, so refuse them first.
    if not text.isascii() or has_control_characters(text) or " " in text:
        raise ValueError("must be one address in ASCII, without a space or a line break")
    try:
        parts = urlsplit(text)
        valid = _HOST.fullmatch(parts.hostname or "") and (parts.port is None or parts.port > 0)
    except ValueError:
        valid = None
    if not valid:
        raise ValueError("is not an address: check the port, the brackets and the characters that need %-encoding")
    return parts


def _host(parts: SplitResult) -> str:
    return parts.hostname or ""


def _has_query_or_fragment(text: str) -> bool:
    return "?" in text or "#" in text
