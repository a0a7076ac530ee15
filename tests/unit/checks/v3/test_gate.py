"""The gate of Harvest v3 lets only requests pass that it makes itself, for any token or client."""

import base64
import random
import re
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.catalogue import scopes
from checks.catalogue.endpoints import catalogue
from checks.catalogue.entry import WriteProbes
from checks.credential import OAuthClient, Secret, Token, basic_authorization
from checks.errors import CredentialError, GateRefusal
from checks.origin import OutgoingRequest, origin
from checks.v1.gate import Gate
from checks.v3.gate import INTROSPECT, MINT, TokenGate, lists
from tests.unit.checks.v1.test_gate import BODIES, EXTRA_HEADERS, METHODS, PIECES

API = "https://harvest.greenhouse.io"
AUTH = "https://auth.greenhouse.io"
USER_AGENT = "harvest-monitor/1 (+mailto:ops@vendor.example)"
GATE = TokenGate(origin(API), origin(AUTH), USER_AGENT)
TOKEN = Token("eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmVk")
OPAQUE = Token("opaque!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~token")
CLIENT = OAuthClient(Secret("8xF3kQ-12"), Secret("se:cret/+="), TOKEN)
ACTING = replace(CLIENT, sub="4080")
V1_KEY = basic_authorization(Secret("5dc54b4a7cdb4e1a9d7b-1"))
MUTATED_REQUESTS = 20_000

LISTINGS = [GATE.listing(entry, token) for entry in lists().values() for token in (TOKEN, OPAQUE)]
AUTH_REQUESTS = [
    GATE.introspection(CLIENT, TOKEN),
    GATE.introspection(CLIENT, OPAQUE),
    GATE.minting(CLIENT),
    GATE.minting(ACTING),
]


def as_made(request: OutgoingRequest) -> bool:
    """Whether the gate itself makes this request for some token or client; only such requests may pass."""
    authorization = next((value for name, value in request.headers if name == "authorization"), "")
    kind, _, value = authorization.partition(" ")
    made = _with_token(value, request.url) if kind == "Bearer" else _with_client(value, request.body)
    return request in made


def _with_token(text: str, url: str) -> list[OutgoingRequest]:
    try:
        return [GATE.listing(entry, Token(text)) for entry in lists().values() if url == API + entry.target]
    except CredentialError:
        return []


def _with_client(encoded: str, body: bytes) -> list[OutgoingRequest]:
    try:
        name, _, secret = base64.b64decode(encoded, validate=True).decode("ascii").partition(":")
        form = dict(pair.partition("=")[::2] for pair in body.decode("ascii").split("&"))
        client = OAuthClient(Secret(name), Secret(secret), sub=form.get("sub"))
        if "token" not in form:
            return [GATE.minting(client)] if re.fullmatch(r"[0-9]{1,20}|", client.sub or "") else []
        return [GATE.introspection(client, Token(unquote(form["token"])))]
    except (ValueError, CredentialError):
        return []


def test_every_list_of_the_scopes_passes() -> None:
    """All 73 of them, each a GET of one record with the target of its scope."""
    assert len(lists()) == 73
    for name, entry in lists().items():
        assert GATE.check(GATE.listing(entry, TOKEN)) is entry
        assert (entry.method, entry.target) == ("GET", scopes.scope(name).list)
        assert entry.target.endswith("?per_page=1")


def test_the_two_requests_to_the_auth_server_pass() -> None:
    """Introspection of either kind of token, and minting with and without a user to act for."""
    passed = [GATE.check(request) for request in AUTH_REQUESTS]
    assert passed == [INTROSPECT, INTROSPECT, MINT, MINT]
    assert [request.body for request in AUTH_REQUESTS[2:]] == [
        b"grant_type=client_credentials",
        b"grant_type=client_credentials&sub=4080",
    ]


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=60))
def test_a_token_of_any_shape_stays_one_field_of_the_form(text: str) -> None:
    """Whatever characters it has, the form contains exactly the token and the hint."""
    request = GATE.introspection(CLIENT, Token(text))
    assert GATE.check(request) is INTROSPECT
    field, hint = request.body.split(b"&")
    assert (unquote(field.decode().removeprefix("token=")), hint) == (text, b"token_type_hint=access_token")


HOSTS = [
    API,
    AUTH,
    "http://auth.greenhouse.io",
    "https://auth.greenhouse.io.evil.example",
    "https://auth.greenhouse.io:444",
    "https://auth.greenhouse.io@evil.example",
    "https://user@auth.greenhouse.io",
    "https://AUTH.greenhouse.io",
    "https://auth.greenhouse.io.",
    "//auth.greenhouse.io",
    "https://evil.example",
    "https://127.0.0.1",
    "",
]
TARGETS = [
    "/token",
    "/introspect",
    "/revoke",
    "/authorize",
    "/token/",
    "/token?grant_type=client_credentials",
    "/introspect?token=1",
    "/auth/token",
    "/v1/users?per_page=1&skip_count=true&created_after=2100-01-01T00:00:00Z",
    "/v3/users",
    "/v3/users?per_page=500",
    "/v3/users?per_page=1&page=2",
    "/v3/users/1",
    "/v3/candidates/1/anonymize",
    "/v2/candidates/0/anonymize",
    "/V3/users?per_page=1",
]
FORMS = [
    *BODIES,
    b"grant_type=client_credentials",
    b"grant_type=client_credentials&sub=",
    b"grant_type=client_credentials&sub=-1",
    b"grant_type=client_credentials&sub=1&scope=harvest",
    b"grant_type=client_credentials&scope=harvest:users:list",
    b"grant_type=refresh_token&refresh_token=1",
    b"grant_type=urn:ietf:params:oauth:grant-type:token-exchange",
    b"token=abc&token_type_hint=access_token",
    b"token=abc&token_type_hint=refresh_token",
    b"token=abc",
    b"token=&token_type_hint=access_token",
    b"token=a&b=c&token_type_hint=access_token",
    b"token=a%0d%0ab&token_type_hint=access_token",
    b"token=a%&token_type_hint=access_token",
    b"token=a%41&token_type_hint=access_token",
    b"token=a+b&token_type_hint=access_token",
    b"token=a&token_type_hint=access_token\n",
    b"token=" + b"a" * 8193 + b"&token_type_hint=access_token",
]


def basic(pair: bytes) -> str:
    return "Basic " + base64.b64encode(pair).decode("ascii")


AUTHORIZATIONS = [
    f"Bearer {TOKEN.reveal()}",
    f"bearer {TOKEN.reveal()}",
    "Bearer ",
    "Bearer a b",
    "Bearer a\r\nOn-Behalf-Of: 1",
    "Bearer é",
    "Bearer " + "a" * 8193,
    basic(b"8xF3kQ-12:secret"),
    basic(b"8xF3kQ-12:"),
    basic(b":secret"),
    basic(b"no colon"),
    basic(b"id:a b"),
    basic(b"id:\r\nx"),
    basic("id:sécret".encode()),
    basic(b"id:" + b"a" * 513),
    "Basic YTpiYw",  # without its padding
    "Basic YTpiYx==",  # not how base64 spells a:b
    "Basic YTpi\n",
    "basic YTpi",
    "Basic ====",
    V1_KEY,
    "",
]


def mutated_path(request: OutgoingRequest, rng: random.Random) -> OutgoingRequest:
    at = rng.randrange(len(request.url) + 1)
    cut = rng.choice([0, 0, 1, 3])
    return replace(request, url=request.url[:at] + rng.choice(PIECES) + request.url[at + cut :])


def mutated_host(request: OutgoingRequest, rng: random.Random) -> OutgoingRequest:
    target = request.url.removeprefix(API).removeprefix(AUTH)
    return replace(request, url=rng.choice(HOSTS) + target)


def mutated_target(request: OutgoingRequest, rng: random.Random) -> OutgoingRequest:
    return replace(request, url=rng.choice([API, AUTH]) + rng.choice(TARGETS))


def mutated_method(request: OutgoingRequest, rng: random.Random) -> OutgoingRequest:
    return replace(request, method=rng.choice(METHODS))


def mutated_body(request: OutgoingRequest, rng: random.Random) -> OutgoingRequest:
    return replace(request, body=rng.choice(FORMS))


def mutated_body_of_its_length(request: OutgoingRequest, rng: random.Random) -> OutgoingRequest:
    """With a Content-Length that fits, so that only the body is wrong."""
    body = rng.choice(FORMS)
    headers = [(name, str(len(body)) if name == "content-length" else value) for name, value in request.headers]
    return replace(request, body=body, headers=headers)


def mutated_authorization(request: OutgoingRequest, rng: random.Random) -> OutgoingRequest:
    value = rng.choice(AUTHORIZATIONS)
    return replace(request, headers=[(n, value if n == "authorization" else v) for n, v in request.headers])


def extra_header(request: OutgoingRequest, rng: random.Random) -> OutgoingRequest:
    headers = list(request.headers)
    headers.insert(rng.randrange(len(headers) + 1), rng.choice(EXTRA_HEADERS))
    return replace(request, headers=headers)


def lost_header(request: OutgoingRequest, rng: random.Random) -> OutgoingRequest:
    headers = list(request.headers)
    headers.pop(rng.randrange(len(headers)))
    return replace(request, headers=headers)


def moved_header(request: OutgoingRequest, rng: random.Random) -> OutgoingRequest:
    headers = list(request.headers)
    headers.insert(rng.randrange(len(headers)), headers.pop(rng.randrange(len(headers))))
    return replace(request, headers=headers)


def mutated_header(request: OutgoingRequest, rng: random.Random) -> OutgoingRequest:
    headers = list(request.headers)
    at = rng.randrange(len(headers))
    name, value = headers[at]
    changed = [(name.upper(), value), (name, value + rng.choice(PIECES)), (name, ""), (name + " ", value)]
    headers[at] = rng.choice(changed)
    return replace(request, headers=headers)


def swapped_parts(request: OutgoingRequest, rng: random.Random) -> OutgoingRequest:
    """A part of another genuine request, such as the address of minting with the token of a list."""
    other = rng.choice(LISTINGS + AUTH_REQUESTS * 20)
    part = rng.choice(["method", "url", "body", "headers"])
    return replace(request, **{part: getattr(other, part)})


MUTATIONS = [
    mutated_path,
    mutated_host,
    mutated_target,
    mutated_method,
    mutated_body,
    mutated_body_of_its_length,
    mutated_authorization,
    extra_header,
    lost_header,
    moved_header,
    mutated_header,
    swapped_parts,
]


def mutants(count: int, seed: int) -> Iterator[OutgoingRequest]:
    rng = random.Random(seed)
    for _ in range(count):
        request = rng.choice(rng.choice([LISTINGS, AUTH_REQUESTS]))
        for _ in range(rng.choice([1, 1, 1, 2, 3])):
            request = rng.choice(MUTATIONS)(request, rng) if request.headers else request
        yield request


def test_thousands_of_mutated_requests_are_refused() -> None:
    """After any change, a request passes only if the gate would make it, byte for byte, for some credential."""
    refused = passed = 0
    for request in mutants(MUTATED_REQUESTS, seed=20260831):
        if as_made(request):
            GATE.check(request)
            passed += 1
            continue
        with pytest.raises(GateRefusal):
            GATE.check(request)
        refused += 1
    assert refused > MUTATED_REQUESTS * 0.8
    assert passed > 0


def with_authorization(request: OutgoingRequest, value: str) -> OutgoingRequest:
    return replace(request, headers=[(n, value if n == "authorization" else v) for n, v in request.headers])


@pytest.mark.parametrize(
    ("request_", "value"),
    [
        (LISTINGS[0], V1_KEY),  # a v1 key on /v3
        (LISTINGS[0], basic(b"8xF3kQ-12:secret")),  # a client's secret to the API
        (AUTH_REQUESTS[0], V1_KEY),  # a v1 key to the auth server
        (AUTH_REQUESTS[2], V1_KEY),
        (AUTH_REQUESTS[0], f"Bearer {TOKEN.reveal()}"),  # a token in place of a client
        (AUTH_REQUESTS[2], f"Bearer {TOKEN.reveal()}"),
    ],
)
def test_each_secret_goes_only_where_it_belongs(request_: OutgoingRequest, value: str) -> None:
    """A v1 key, a client's secret and a token each go to one place; a request to another one is refused."""
    with pytest.raises(GateRefusal, match="Authorization"):
        GATE.check(with_authorization(request_, value))


def test_the_gate_of_v1_accepts_no_token() -> None:
    """Both gates refuse a v1 request with a token, and a v3 list with a key."""
    old = Gate(catalogue(), origin(API), USER_AGENT)
    entry = catalogue().all_entries()[0]
    token = f"Bearer {TOKEN.reveal()}"
    v1 = OutgoingRequest(entry.method, API + entry.target, list(old.headers_for(entry, token).items()), b"")
    for request in (v1, with_authorization(LISTINGS[0], V1_KEY)):
        with pytest.raises(GateRefusal):
            old.check(request, WriteProbes.ALL)
        with pytest.raises(GateRefusal):
            GATE.check(request)


@pytest.mark.parametrize("sub", ["abc", "1&scope=harvest", "1\r\nx: y", "", "１２", "1" * 21])
def test_a_user_that_is_no_number_is_not_sent(sub: str) -> None:
    """A line break, another form field or anything else that is no number is refused by the gate or left out."""
    try:
        request = GATE.minting(replace(CLIENT, sub=sub))
    except UnicodeEncodeError:
        return
    if not sub:
        assert request.body == b"grant_type=client_credentials"
        return
    with pytest.raises(GateRefusal, match="body"):
        GATE.check(request)


def refusal_of(request: OutgoingRequest) -> str:
    try:
        GATE.check(request)
    except GateRefusal as refusal:
        return str(refusal)
    return ""


def test_no_refusal_shows_what_it_refused() -> None:
    """Neither a token, nor a secret, nor the address is in the message."""
    messages = "".join(map(refusal_of, mutants(2_000, seed=7)))
    assert "Authorization" in messages
    for secret in (TOKEN.reveal(), OPAQUE.reveal(), "se:cret", CLIENT.client_id.reveal(), "evil.example"):
        assert secret not in messages
