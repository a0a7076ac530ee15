"""The gate: the last look at a request before the wire. What the catalogue does not hold, exactly, is not sent."""

import base64
import binascii
import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from checks.catalogue.endpoints import Catalogue, Entry, Role, WriteProbes
from checks.errors import GateRefusal

_AUTHORIZATION = re.compile(r"Basic (?P<credentials>[A-Za-z0-9+/]{2,}={0,2})")


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
    standard = {"https": 443, "http": 80}[parts.scheme]
    return Origin(parts.scheme, host, None if parts.port in (None, standard) else parts.port)


@dataclass(frozen=True, slots=True)
class OutgoingRequest:
    """A request as it stands just before the wire. Header names are lower-case; a repeated header is two pairs.

    Its repr leaves out headers and body, where key, client and token are.
    """

    method: str
    url: str
    headers: Sequence[tuple[str, str]] = field(repr=False)
    body: bytes = field(repr=False)


class Gate:
    """Knows the catalogue, the one origin, and the exact headers; `check` returns the entry a request is."""

    def __init__(self, catalogue: Catalogue, destination: Origin, user_agent: str) -> None:
        self._catalogue = catalogue
        self._origin = destination
        self._user_agent = user_agent
        self._entries = {
            (entry.method, entry.target, entry.role is Role.ANONYMOUS): entry for entry in catalogue.all_entries()
        }

    def check(self, request: OutgoingRequest, permitted: WriteProbes) -> Entry:
        """The entry this request is, letter by letter; GateRefusal for anything else or a write not permitted."""
        target = self._target(request)
        never = self._catalogue.never_rule(request.method, target)
        if never is not None:
            raise GateRefusal(f"{never.endpoint} is on the never-list")
        authorization = dict(request.headers).get("authorization")
        entry = self._entries.get((request.method, target, authorization is None))
        if entry is None:
            raise GateRefusal(f"{request.method[:10]!r} {target[:80]!r} is not in the catalogue")
        if not permitted.allows(entry.needs):
            raise GateRefusal(f"{entry.endpoint} is a write probe that needs the setting {entry.needs.value!r}")
        if request.body != entry.body:
            raise GateRefusal(f"the body of {entry.endpoint} is not the one in the catalogue")
        self._check_headers(entry, authorization, request.headers)
        return entry

    @property
    def in_clear(self) -> bool:
        """Requests go over http, which only happens towards this machine."""
        return self._origin.scheme == "http"

    def headers_for(self, entry: Entry, authorization: str | None) -> dict[str, str]:
        """The headers of a request, whole, with lower-case names; `check` accepts no others."""
        headers = {
            "host": self._origin.netloc,
            "user-agent": self._user_agent,
            "accept": "application/json",
            "accept-encoding": "identity",
        }
        if authorization is not None:
            headers["authorization"] = authorization
        if entry.body:
            headers["content-type"] = "application/json"
        if entry.is_write:
            headers["content-length"] = str(len(entry.body))
        return headers

    def url_of(self, entry: Entry) -> str:
        return f"{self._origin}{entry.target}"

    def _target(self, request: OutgoingRequest) -> str:
        prefix = str(self._origin)
        if not request.url.startswith(prefix + "/"):
            raise GateRefusal("the request does not go to the origin in the settings")
        return request.url.removeprefix(prefix)

    def _check_headers(self, entry: Entry, authorization: str | None, headers: Sequence[tuple[str, str]]) -> None:
        if authorization is not None:
            self._check_authorization(authorization)
        expected = list(self.headers_for(entry, authorization).items())
        if list(headers) != expected:
            names = sorted({name for name, _ in set(headers) ^ set(expected)})
            raise GateRefusal(f"{entry.endpoint} has not the headers it must: {names or 'order or number'}")

    @staticmethod
    def _check_authorization(value: str) -> None:
        found = _AUTHORIZATION.fullmatch(value)
        try:
            credentials = base64.b64decode(found["credentials"], validate=True) if found else b""
        except binascii.Error:
            credentials = b""
        if not re.fullmatch(rb"[\x21-\x39\x3b-\x7e]+:", credentials):
            raise GateRefusal("the Authorization header is not Basic with a key and an empty password")
