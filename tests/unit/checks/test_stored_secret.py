"""Stored texts that are plainly not the secret are told from those that may be one, whatever its shape."""

import base64
import json
import string
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

import pytest

from checks.credential import Secret
from checks.errors import CredentialError
from checks.v1.stored_key import require_key
from checks.v3.stored_client import require_client_id, require_client_secret, require_in_place, require_token

KEY = "5a1f0c3e9b7d2468ace013579bdf2468-1"
REQUIRED: dict[str, Callable[[str], None]] = {
    "key": require_key,
    "client id": require_client_id,
    "client secret": require_client_secret,
    "token": require_token,
}
# What is stored · what is said about it. None of these can be a secret of any kind.
NEVER = [
    ("", "is empty"),
    (" \n", "is empty"),
    (f'"{KEY}"', "in quotes"),
    (f"'{KEY}'", "in quotes"),
    (f"`{KEY}`", "in quotes"),
    (f'"{KEY}', "in quotes"),
    (f'{KEY}"', "in quotes"),
    (f' "{KEY}" ', "in quotes"),
    (json.dumps(KEY), "in quotes"),
    (json.dumps({"api_key": KEY}), "is JSON"),
    (json.dumps({"api_key": KEY}, indent=2), "is JSON"),
    (f'{{"api_key":"{KEY}"}}', "is JSON"),
    (f'["{KEY}"]', "is JSON"),
    (f"Basic {KEY}", "is a header"),
    (f"basic%20{KEY}", "is a header"),
    (f"Bearer {KEY}", "is a header"),
    (f"Bearer  {KEY}", "is a header"),
    (f"Authorization: Basic {KEY}", "is a header"),
    (f"authorization:{KEY}", "is a header"),
    (f"https://{KEY}:@harvest.greenhouse.io/v1/jobs", "is a URL"),
    ("https://vendor.example/secrets/4711", "is a URL"),
    (f"ACME_HARVEST_KEY={KEY}", "name of a variable"),
    (f"export ACME={KEY}", "name of a variable"),
    (f"ACME_HARVEST_KEY = {KEY}", "name of a variable"),
    (f"api_key={KEY}", "name of a variable"),
    (f"clientSecret={KEY}", "name of a variable"),
    (f"OTHER=1\nACME_HARVEST_KEY={KEY}", "name of a variable"),
    ("-----BEGIN PRIVATE KEY-----\nMIIEvQ\n-----END PRIVATE KEY-----", "is a PEM block"),
    ("${ACME_HARVEST_KEY}", "is a placeholder"),
    ("$(cat /run/secrets/acme)", "is a placeholder"),
    (f"{KEY}\n{KEY}", "contains a line break"),
    (f"{KEY}\r{KEY}", "contains a line break"),
    (f"{KEY[:9]} {KEY[9:]}", "contains white space"),
    (f"{KEY[:9]}\t{KEY[9:]}", "contains white space"),
    (f"{KEY} ", "contains white space"),
    (f"\ufeff{KEY}", "byte order mark"),
    (f"\ufeff{KEY}".encode().decode("latin-1"), "byte order mark"),
    (f"\ufeff{KEY}".encode("utf-16-le").decode("latin-1"), "byte order mark"),
    (f"“{KEY}”", "outside ASCII"),
    (f"{KEY}\0", "a control character"),
]
JWT = ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in (b'{"alg":"RS256"}', b"{}", b"s" * 32))


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def refusal(require: Callable[[Any], None], stored: Any) -> str:
    """What is said about it; empty if it passes."""
    try:
        require(stored)
    except CredentialError as problem:
        return str(problem)
    return ""


@pytest.mark.parametrize("what", REQUIRED)
def test_what_is_never_a_secret_is_refused_with_the_reason_and_the_next_step(what: str) -> None:
    """For a key of v1 and for each text of v3 alike; the message never shows what is stored."""
    for text, said in NEVER:
        message = refusal(REQUIRED[what], text)
        assert message.startswith(f"the {what} "), text
        assert said in message, text
        assert message.endswith(f": store the {what} itself and nothing else"), text
        assert KEY[:9] not in message, text


def test_what_belongs_to_another_kind_of_credential_is_refused_where_it_can_be_told() -> None:
    cases = [
        (require_key, JWT, "is a token of Harvest v3"),
        (require_key, f"client-id-1:{KEY}", "contains a colon"),
        (require_key, f"{KEY}:", "contains a colon"),
        (require_key, encoded(f"{KEY}:"), "base64"),
        (require_key, encoded("sandbox-acme-key-1:"), "base64"),
        (require_key, encoded(KEY), "base64"),
        (require_key, encoded(f"{KEY}\n"), "base64"),
        (require_key, encoded(KEY[:32]), "base64"),
        (require_client_id, JWT, "is a token"),
        (require_client_id, "client-id-1:secret", "contains a colon"),
        (require_client_secret, JWT, "is a token"),
    ]
    for require, text, said in cases:
        message = refusal(require, text)
        assert said in message, text
        assert text[:9] not in message, text


def test_texts_of_a_client_in_each_others_place_are_refused_where_it_can_be_told() -> None:
    """By the end of a client id, by the same text twice, by the text of a Basic header; also while one is not known."""
    cases: list[tuple[Mapping[str, str], str]] = [
        ({"client id": "s3cret", "client secret": "acme-17"}, "exchange"),
        ({"client id": "s3cret", "client secret": "acme-17", "token": "t"}, "exchange"),
        ({"client id": "acme-17", "client secret": "acme-17"}, "client id and the client secret are the same text"),
        ({"client id": "acme-17", "client secret": "s", "token": "s"}, "client secret and the token are the same text"),
        ({"client id": "acme-17", "token": "acme-17"}, "client id and the token are the same text"),
        (
            {"client id": "acme-17", "client secret": encoded("acme-17:the-s3cret")},
            "the client secret is client id and",
        ),
        ({"client id": encoded("acme-17:the-s3cret"), "client secret": "the-s3cret"}, "the client id is client id and"),
    ]
    for texts, said in cases:
        assert said in refusal(require_in_place, {what: Secret(text) for what, text in texts.items()}), texts


def test_texts_of_a_client_that_may_be_in_place_pass() -> None:
    """A number behind an id is common, and says nothing about which of them it is."""
    in_place: list[dict[str, str]] = [
        {"client id": "acme-17", "client secret": "s3cret", "token": "t"},
        {"client id": "acme-17", "client secret": "s3cret-17"},
        {"client id": "acme", "client secret": "s3cret"},
        {"client secret": "acme-17"},
        {"client id": "s3cret", "token": "acme-17"},
        {},
    ]
    for texts in in_place:
        assert refusal(require_in_place, {what: Secret(text) for what, text in texts.items()}) == "", texts


@pytest.mark.parametrize("what", REQUIRED)
def test_what_may_be_a_secret_of_an_unknown_shape_passes(what: str) -> None:
    """Greenhouse may give out shapes that nobody has recorded."""
    seen = [
        KEY,
        KEY.upper(),
        KEY[:32],
        "sandbox-acme-key-1",
        "k",
        "gh_live_" + KEY[:32],
        "basicKey123",
        "bearerless",
        "authorization-1",
        "KEY-1",
        "abcd==",
        "ACMEKEY=",
        "ACMEKEY==",
        "a+b/c==",
        "v2.local.abc_def-ghi",
        "1.2.3",
        "$ecret",
        "pa$${word}x",
        "<key>",
        "p@ss;w#rd!",
        "3f0c9b7e-0b1d-4c55-9b0e-2f2f6c1f7a11",
    ]
    assert [text for text in seen if refusal(REQUIRED[what], text)] == []


@pytest.mark.parametrize("what", REQUIRED)
def test_no_secret_drawn_at_random_is_refused(what: str) -> None:
    """In the alphabets that keys are made of, from 8 to 88 characters."""
    random = Random(20261130)
    digits = string.ascii_letters + string.digits
    for alphabet in ("0123456789abcdef", digits, digits + "-_", digits + "+/", string.ascii_uppercase + "234567"):
        for _ in range(4_000):
            text = "".join(random.choices(alphabet, k=random.randint(8, 88)))
            assert refusal(REQUIRED[what], text) == "", text
            assert refusal(REQUIRED[what], text + "=" * (-len(text) % 4)) == "", text
