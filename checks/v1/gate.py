"""The gate: the last check of a request before the wire. What is not in the catalogue, exactly, is not sent."""

import base64
import binascii
import re
from collections.abc import Sequence

from checks.catalogue.endpoints import Catalogue
from checks.catalogue.entry import Entry, Role, WriteProbes
from checks.errors import GateRefusal
from checks.origin import Origin, OutgoingRequest

_AUTHORIZATION = re.compile(r"Basic (?P<credentials>[A-Za-z0-9+/]{2,}={0,2})")


class Gate:
    """Knows the catalogue, the one origin, and the exact headers; `check` returns the entry a request is."""

    def __init__(self, catalogue: Catalogue, destination: Origin, user_agent: str) -> None:
        self._catalogue = catalogue
        self._origin = destination
        self._user_agent = user_agent
        # With and without a key are two requests: neither passes for the other.
        self._entries = {
            (entry.method, entry.target, entry.role is Role.ANONYMOUS): entry for entry in catalogue.all_entries()
        }

    def check(self, request: OutgoingRequest, permitted: WriteProbes) -> Entry:
        """The entry this request is, letter by letter; GateRefusal for anything else or a write not permitted."""
        target = self._target(request)
        # Asked before the catalogue, so that a wrong row there lets none of these through.
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
            # Also a 0: httpx 0.28 adds it to an empty PUT, but not to an empty DELETE, and all headers are compared.
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
            raise GateRefusal(f"{entry.endpoint} does not have its exact headers: {names or 'order or number'}")

    @staticmethod
    def _check_authorization(value: str) -> None:
        found = _AUTHORIZATION.fullmatch(value)
        try:
            credentials = base64.b64decode(found["credentials"], validate=True) if found else b""
        except binascii.Error:
            credentials = b""
        # Visible ASCII without the colon, which in Basic authentication ends the user name.
        if not re.fullmatch(rb"[\x21-\x39\x3b-\x7e]+:", credentials):
            raise GateRefusal("the Authorization header is not Basic with a key and an empty password")
