"""The gate lets only catalogued requests pass."""

import random
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.catalogue.endpoints import catalogue
from checks.catalogue.entry import Entry, Role, WriteProbes
from checks.credential import Secret, basic_authorization
from checks.errors import CredentialError, GateRefusal
from checks.origin import OutgoingRequest, origin
from checks.v1.gate import Gate
from tests.cases import for_each

CATALOGUE = catalogue()
ENTRIES = CATALOGUE.all_entries()
HOST = "https://harvest.greenhouse.io"
USER_AGENT = "harvest-monitor/1 (+mailto:ops@vendor.example)"
AUTHORIZATION = basic_authorization(Secret("5dc54b4a7cdb4e1a9d7b-1"))
GATE = Gate(CATALOGUE, origin(HOST), USER_AGENT)
MUTATED_REQUESTS = 40_000


def outgoing(entry: Entry) -> OutgoingRequest:
    authorization = None if entry.role is Role.ANONYMOUS else AUTHORIZATION
    headers = list(GATE.headers_for(entry, authorization).items())
    return OutgoingRequest(entry.method, HOST + entry.target, headers, entry.body)


GENUINE = {(r.method, r.url, tuple(r.headers), r.body) for r in map(outgoing, ENTRIES)}


@for_each(ENTRIES, ids=lambda e: f"{e.role} {e.endpoint}")
def test_every_catalogued_request_passes(entry: Entry) -> None:
    """Unchanged, and under the setting that it needs."""
    assert GATE.check(outgoing(entry), entry.needs) == entry


@for_each([e for e in ENTRIES if e.is_write], ids=lambda e: e.endpoint)
def test_a_write_needs_the_setting_that_allows_it(entry: Entry) -> None:
    """No write passes under a lower setting than it needs; the three without an id need `all`."""
    for permitted in WriteProbes:
        if permitted.allows(entry.needs):
            assert GATE.check(outgoing(entry), permitted) == entry
        else:
            with pytest.raises(GateRefusal, match=entry.needs.value):
                GATE.check(outgoing(entry), permitted)
    assert entry.needs is (WriteProbes.ALL if "/0" not in entry.target else WriteProbes.SAFE)


PIECES = [
    "0",
    "1",
    "-1",
    "19214950003",
    "%30",
    "0.0",
    "00",
    "０",
    "null",
    "{id}",
    "..",
    ".",
    "%2e%2e",
    "//",
    "/",
    "?",
    "#",
    "%00",
    ";",
    "@evil.example",
    "&",
    "=",
    " ",
    "\r\n",
    "\t",
    "%0d%0a",
    "v2",
    "v1",
    "V1",
    "hire",
    "unreject",
    "anonymize",
    "reject",
    "merge",
    "request_approvals",
    "On-Behalf-Of: 1",
    "per_page=500",
    "created_after=2000-01-01",
    "tags/candidate",
    "é",
]
METHODS = [
    "GET",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "HEAD",
    "OPTIONS",
    "TRACE",
    "CONNECT",
    "get",
    "Post",
    "",
    "GET ",
    "PURGE",
]
HOSTS = [
    "http://harvest.greenhouse.io",
    "https://harvest.greenhouse.io.evil.example",
    "https://harvest.greenhouse.io:444",
    "https://evil.example",
    "https://harvest.greenhouse.io@evil.example",
    "https://user@harvest.greenhouse.io",
    "https://HARVEST.greenhouse.io",
    "https://harvest.greenhouse.io.",
    "https://xharvest.greenhouse.io",
    "//harvest.greenhouse.io",
    "",
    "https://harvest.greenhouse.io\\@evil.example",
    "https://127.0.0.1",
    "HTTPS://harvest.greenhouse.io",
    "ftp://harvest.greenhouse.io",
]
BODIES = [
    b"",
    b"{}",
    b"{ }",
    b"{}\n",
    b"[]",
    b"null",
    b'{"id":1}',
    b'{"email":"a@b.example"}',
    b'{"prospect":"true"}',
    b'{"merge":1}',
    b"\xff",
    b"{}" * 2,
    b'{"url":"https://evil.example/cv.pdf"}',
    b"0",
]
EXTRA_HEADERS = [
    ("on-behalf-of", "1"),
    ("On-Behalf-Of", "4080"),
    ("cookie", "session=1"),
    ("x-http-method-override", "DELETE"),
    ("authorization", "Bearer abc"),
    ("authorization", AUTHORIZATION),
    ("content-type", "text/plain"),
    ("transfer-encoding", "chunked"),
    ("host", "evil.example"),
    ("content-length", "0"),
    ("content-length", "99"),
    ("expect", "100-continue"),
    ("x-forwarded-host", "e"),
    ("user-agent", "curl"),
    ("accept", "*/*"),
    ("accept-encoding", "gzip"),
    ("connection", "close"),
    ("range", "bytes=0-1"),
    ("x-request-id", "a\r\nOn-Behalf-Of: 1"),
    ("", ""),
    ("idempotency-key", "1"),
]


def mutated_path(request: OutgoingRequest, rng: random.Random) -> OutgoingRequest:
    at = rng.randrange(len(request.url) + 1)
    cut = rng.choice([0, 0, 1, 3])
    return replace(request, url=request.url[:at] + rng.choice(PIECES) + request.url[at + cut :])


def mutated_host(request: OutgoingRequest, rng: random.Random) -> OutgoingRequest:
    return replace(request, url=request.url.replace(HOST, rng.choice(HOSTS), 1))


def mutated_method(request: OutgoingRequest, rng: random.Random) -> OutgoingRequest:
    return replace(request, method=rng.choice(METHODS))


def mutated_body(request: OutgoingRequest, rng: random.Random) -> OutgoingRequest:
    return replace(request, body=rng.choice(BODIES))


def extra_header(request: OutgoingRequest, rng: random.Random) -> OutgoingRequest:
    headers = list(request.headers)
    headers.insert(rng.randrange(len(headers) + 1), rng.choice(EXTRA_HEADERS))
    return replace(request, headers=headers)


def lost_header(request: OutgoingRequest, rng: random.Random) -> OutgoingRequest:
    headers = list(request.headers)
    if headers:
        headers.pop(rng.randrange(len(headers)))
    return replace(request, headers=headers)


def mutated_header(request: OutgoingRequest, rng: random.Random) -> OutgoingRequest:
    headers = list(request.headers) or [("host", "")]
    at = rng.randrange(len(headers))
    name, value = headers[at]
    headers[at] = rng.choice(
        [(name.upper(), value), (name, value + rng.choice(PIECES)), (name, ""), (name + " ", value)]
    )
    return replace(request, headers=headers)


def swapped_parts(request: OutgoingRequest, rng: random.Random) -> OutgoingRequest:
    """Parts of two genuine requests, such as the path of one with the method or body of another."""
    other = outgoing(rng.choice(ENTRIES))
    part = rng.choice(["method", "url", "body", "headers"])
    return replace(request, **{part: getattr(other, part)})


MUTATIONS = [
    mutated_path,
    mutated_path,
    mutated_host,
    mutated_method,
    mutated_body,
    extra_header,
    lost_header,
    mutated_header,
    swapped_parts,
]


def mutants(count: int, seed: int) -> Iterator[OutgoingRequest]:
    rng = random.Random(seed)
    for _ in range(count):
        request = outgoing(rng.choice(ENTRIES))
        for _ in range(rng.choice([1, 1, 1, 2, 3])):
            request = rng.choice(MUTATIONS)(request, rng)
        yield request


def test_tens_of_thousands_of_mutated_requests_are_refused() -> None:
    """After any change, a request passes only if it is, byte for byte, a catalogued one again."""
    refused = passed = 0
    for request in mutants(MUTATED_REQUESTS, seed=20260831):
        genuine = (request.method, request.url, tuple(request.headers), request.body) in GENUINE
        if genuine:
            GATE.check(request, WriteProbes.ALL)
            passed += 1
            continue
        with pytest.raises(GateRefusal):
            GATE.check(request, WriteProbes.ALL)
        refused += 1
    assert refused > MUTATED_REQUESTS * 0.9
    assert passed > 0


@given(
    method=st.sampled_from(METHODS) | st.text(max_size=8),
    path=st.text(max_size=40) | st.from_regex(r"/v[12]/[a-z_]+(/[0-9]{1,11})?(/[a-z_]+)?", fullmatch=True),
    body=st.binary(max_size=20),
)
def test_invented_requests_are_refused(method: str, path: str, body: bytes) -> None:
    """With correct headers, no method, path and body passes that is not in the catalogue."""
    headers = list(GATE.headers_for(ENTRIES[0], AUTHORIZATION).items())
    request = OutgoingRequest(method, HOST + path, headers, body)
    if (method, path, body) in {(e.method, e.target, e.body) for e in ENTRIES}:
        return
    with pytest.raises(GateRefusal):
        GATE.check(request, WriteProbes.ALL)


@for_each(CATALOGUE.never, ["0", "1", "19214950003", "abc"], ids=lambda part: getattr(part, "endpoint", part))
def test_the_never_list_is_named_when_it_stops_a_request(rule, number: str) -> None:
    """A request on the never-list is refused as such, whatever id is in it."""
    path = rule.endpoint.split(" ")[1]
    while "{" in path:
        path = path[: path.index("{")] + number + path[path.index("}") + 1 :]
    request = OutgoingRequest(rule.method, HOST + path, [], b"{}")
    with pytest.raises(GateRefusal, match="never-list"):
        GATE.check(request, WriteProbes.ALL)


@pytest.mark.parametrize(
    "value",
    [
        "Basic a2V5OnBhc3N3b3Jk",  # key:password
        "Basic OjpY",  # no key
        "Bearer abcdef",
        "Basic a2V5Og==\r\nOn-Behalf-Of: 1",
        "basic a2V5Og==",
        "Basic a2V5",  # no colon at all
        "Basic ====",
        "Basic a2V5IGE6",  # a space in the key
    ],
)
def test_only_a_key_with_an_empty_password_is_let_through(value: str) -> None:
    """Anything but `Basic` with a key and an empty password is refused."""
    entry = ENTRIES[0]
    request = OutgoingRequest("GET", HOST + entry.target, list(GATE.headers_for(entry, value).items()), b"")
    with pytest.raises(GateRefusal, match="Authorization"):
        GATE.check(request, WriteProbes.OFF)


@pytest.mark.parametrize(
    "url",
    [
        "http://harvest.greenhouse.io",  # without TLS
        "https://user:pass@harvest.greenhouse.io",
        "https://harvest.greenhouse.io/v1",
        "https://harvest.greenhouse.io?x=1",
        "https://harvest.greenhouse.io#x",
        "ftp://127.0.0.1",
        "http://127.0.0.1.evil.example:80",
        "http://localhost.evil.example",
        "https://",
        "",
        "https://harvest green.example",
    ],
)
def test_only_an_origin_over_tls_or_on_this_machine_is_accepted(url: str) -> None:
    """The address must be only scheme and host: https, or http to loopback."""
    with pytest.raises(GateRefusal):
        origin(url)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://harvest.greenhouse.io", "https://harvest.greenhouse.io"),
        ("https://Harvest.Greenhouse.io:443/", "https://harvest.greenhouse.io"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("http://localhost", "http://localhost"),
    ],
)
def test_an_origin_has_one_spelling(url: str, shown: str) -> None:
    """Letter case, standard port and a last slash make no difference."""
    assert str(origin(url)) == shown


@pytest.mark.parametrize("text", ["", " ", "a b", "key\n", "schlüssel", "x" * 513])
def test_an_impossible_key_is_refused_without_being_shown(text: str) -> None:
    """A key with white space, outside ASCII or far too long never becomes a header and is not in the message."""
    with pytest.raises(CredentialError) as error:
        Secret(text)
    assert not text.strip() or text not in str(error.value)


def test_a_secret_does_not_show_itself() -> None:
    """repr, str and format of a secret contain nothing of it."""
    secret = Secret("5dc54b4a7cdb4e1a9d7b-1")
    assert "5dc5" not in f"{secret!r} {secret} {[secret]}"
