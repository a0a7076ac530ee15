"""The gate of Harvest v3: two requests to the auth server, and the lists of `scopes.yaml`. Nothing else is sent.

Introspection and the lists read. A new token is minted only where a credential says `token: mint`: Greenhouse does
not document whether that revokes earlier ones.
"""

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from urllib.parse import quote

from checks.catalogue import scopes
from checks.catalogue.entry import Entry, RequestClass, Role
from checks.credential import OAuthClient, Token, bearer_authorization, client_authorization
from checks.errors import GateRefusal
from checks.origin import Origin, OutgoingRequest

# A colon ends the id. The secret is never empty, so that no key of v1 passes.
_CLIENT = re.compile(rb"[\x21-\x39\x3b-\x7e]{1,512}:[\x21-\x7e]{1,512}")
_BEARER = re.compile(r"Bearer [\x21-\x7e]{1,8192}")
_ESCAPED = rb"%(?:2[1-9A-CF]|3[A-F]|40|5[B-E]|60|7[B-D])"  # visible ASCII that a form cannot hold as it is
_INTROSPECTION = re.compile(rb"token=(?:[A-Za-z0-9._~-]|" + _ESCAPED + rb"){1,8192}&token_type_hint=access_token")
# As recorded on 2026-05-11: no `scope`, since the scopes come from the credential.
_MINTING = re.compile(rb"grant_type=client_credentials(&sub=[0-9]{1,20})?")


def _entry(method: str, target: str, request_class: RequestClass) -> Entry:
    endpoint = f"{method} {target.partition('?')[0]}"
    return Entry(endpoint, method, target, b"", request_class, "R", Role.BEARER, endpoint)


INTROSPECT = _entry("POST", "/introspect", RequestClass.AUTH)
MINT = _entry("POST", "/token", RequestClass.AUTH)


@cache
def lists() -> dict[str, Entry]:
    """By scope: the request that reads one record with it."""
    read = {name: scope.list for name, scope in scopes.known().items()}
    return {name: _entry("GET", target, RequestClass.LIST) for name, target in read.items() if target is not None}


@cache
def _targets() -> dict[str, Entry]:
    return {entry.target: entry for entry in lists().values()}


@dataclass(frozen=True, slots=True)
class TokenGate:
    """`api` serves the lists, `auth` knows the tokens. A request is made here, and checked again before it leaves."""

    api: Origin
    auth: Origin
    user_agent: str

    @property
    def in_clear(self) -> bool:
        """Requests go over http, which only happens towards this machine."""
        return "http" in (self.api.scheme, self.auth.scheme)

    def listing(self, entry: Entry, token: Token) -> OutgoingRequest:
        return self._made(self.api, entry, bearer_authorization(token), b"")

    def introspection(self, client: OAuthClient, token: Token) -> OutgoingRequest:
        body = f"token={quote(token.reveal(), safe='')}&token_type_hint=access_token"
        return self._made(self.auth, INTROSPECT, client_authorization(client), body.encode("ascii"))

    def minting(self, client: OAuthClient) -> OutgoingRequest:
        sub = f"&sub={client.sub}" if client.sub else ""
        return self._made(
            self.auth, MINT, client_authorization(client), f"grant_type=client_credentials{sub}".encode("ascii")
        )

    def check(self, request: OutgoingRequest) -> Entry:
        """What this request is, letter by letter; GateRefusal for anything else."""
        entry, origin, authorized, body = self._known(request)
        authorization = dict(request.headers).get("authorization", "")
        if not authorized(authorization):
            raise GateRefusal(f"the Authorization header of {entry.endpoint} is not the one it must have")
        if not body.fullmatch(request.body):
            raise GateRefusal(f"the body of {entry.endpoint} is not one it may have")
        if list(request.headers) != self._headers(origin, authorization, request.body):
            raise GateRefusal(f"{entry.endpoint} does not have its exact headers")
        return entry

    def _known(self, request: OutgoingRequest) -> tuple[Entry, Origin, Callable[[str], bool], re.Pattern[bytes]]:
        if request.method == "POST":
            for entry, body in ((INTROSPECT, _INTROSPECTION), (MINT, _MINTING)):
                if request.url == f"{self.auth}{entry.target}":
                    return entry, self.auth, _is_of_a_client, body
        target = request.url.removeprefix(str(self.api))
        if request.method == "GET" and request.url == f"{self.api}{target}" and target in _targets():
            return _targets()[target], self.api, _is_of_a_token, re.compile(rb"")
        raise GateRefusal(f"{request.method[:10]!r} to this address is not a request that may be sent with a token")

    def _made(self, origin: Origin, entry: Entry, authorization: str, body: bytes) -> OutgoingRequest:
        headers = self._headers(origin, authorization, body)
        return OutgoingRequest(entry.method, f"{origin}{entry.target}", headers, body)

    def _headers(self, origin: Origin, authorization: str, body: bytes) -> Sequence[tuple[str, str]]:
        headers = [
            ("host", origin.netloc),
            ("user-agent", self.user_agent),
            ("accept", "application/json"),
            ("accept-encoding", "identity"),
            ("authorization", authorization),
        ]
        if body:
            headers.append(("content-type", "application/x-www-form-urlencoded"))
            headers.append(("content-length", str(len(body))))
        return headers


def _is_of_a_client(authorization: str) -> bool:
    """Basic, spelled as base64 is, with an id and a secret; a key of v1 has an empty password and goes nowhere here."""
    kind, _, encoded = authorization.partition(" ")
    try:
        pair = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return False
    # Encoded again: base64 has several spellings of the same bytes, and one may pass.
    return kind == "Basic" and base64.b64encode(pair).decode("ascii") == encoded and bool(_CLIENT.fullmatch(pair))


def _is_of_a_token(authorization: str) -> bool:
    return bool(_BEARER.fullmatch(authorization))
