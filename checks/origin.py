"""The one server that requests may go to, and a request as it is just before the wire."""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from checks.errors import GateRefusal


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port of the one server requests may go to; the standard port is written as none."""

    scheme: str
    host: str
    port: int | None

    def __str__(self) -> str:
        return f"{self.scheme}://{self.netloc}"

    @property
    def netloc(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"


def is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def origin(url: str) -> Origin:
    """The origin of a base URL; GateRefusal unless it is https (http to this machine only) and no more than that."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    if (
        not re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)*|[0-9a-f:.]+", host)
        or parts.username is not None
        or parts.password is not None
    ):
        raise GateRefusal(
            "the address of Greenhouse must be a scheme and a host, such as https://harvest.greenhouse.io"
        )
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise GateRefusal(f"the address of Greenhouse must be scheme and host alone; {host} has a path behind it")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise GateRefusal(f"a key is only sent over https (http only to this machine); {host} is neither")
    # One spelling for each origin, since the gates compare addresses letter by letter.
    standard = {"https": 443, "http": 80}[parts.scheme]
    return Origin(parts.scheme, host, None if parts.port in (None, standard) else parts.port)


@dataclass(frozen=True, slots=True)
class OutgoingRequest:
    """A request as it is just before the wire. Header names are lower-case; a repeated header is two pairs.

    Its repr leaves out headers and body, where key, client and token are.
    """

    method: str
    url: str
    headers: Sequence[tuple[str, str]] = field(repr=False)
    body: bytes = field(repr=False)
