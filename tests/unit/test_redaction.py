import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from checks.credential import Secret, basic_authorization
from monitor.redaction import MASK, Redactor

KEY = "5a1f0c3e9b7d2468ace013579bdf2468-1"
ODD = "pa'ss\"w\\ord/9"  # has another spelling in JSON, in repr and in a URL


@pytest.mark.parametrize(
    "spelled",
    [
        str,
        repr,
        json.dumps,
        lambda text: quote(text, safe=""),
        lambda text: f"[{text}]",
        lambda text: base64.b64encode(f"{text}:".encode()).decode(),
        lambda text: basic_authorization(Secret(text)),
        lambda text: f"{text}{text} and {text}",
    ],
)
@pytest.mark.parametrize("secret", [KEY, ODD, "hunter22"])
def test_a_known_secret_is_masked_however_it_is_spelled(spelled: Callable[[str], str], secret: str) -> None:
    """Plain, quoted, escaped, %-encoded, in base64 or twice: nothing of a known secret remains."""
    redactor = Redactor()
    redactor.learn(Secret(secret))

    shown = redactor.text(f"before {spelled(secret)} after")

    assert spelled(secret).strip("'\"")[:8] not in shown
    assert secret[:8] not in shown
    assert MASK in shown
    assert shown.startswith("before ")


@given(
    st.text(alphabet="ab-9/", min_size=4, max_size=12), st.text(alphabet="ab-9/ ", max_size=40), st.text(max_size=20)
)
@example("aaaa", "aaa", "a")
def test_no_text_keeps_a_known_secret(secret: str, before: str, after: str) -> None:
    """Wherever a known secret is in a text, even overlapping itself, the masked text does not contain it."""
    redactor = Redactor()
    redactor.learn(secret)

    assert secret not in redactor.text(before + secret + after)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Authorization: Basic YWJjZGVmZ2g6", "Authorization: Basic ***"),
        ("bearer eyJhbGciOi.J9-_x~", "bearer ***"),
        ("https://user:pass@host/x?y", "https://***@host/x?y"),
        ("smtp://u:p/w#d@mail.example", "smtp://***@mail.example"),  # badly encoded, but still a password
        (f"key {KEY}.", "key ***."),
        ("Invalid Basic Auth credentials", "Invalid Basic Auth credentials"),  # Greenhouse's own words
        ("https://harvest.greenhouse.io/v1/jobs", "https://harvest.greenhouse.io/v1/jobs"),
        ("digest 5a1f0c3e9b7d2468ace013579bdf2468", "digest 5a1f0c3e9b7d2468ace013579bdf2468"),
    ],
)
def test_unknown_secrets_are_masked_by_shape(text: str, shown: str) -> None:
    """Headers, passwords in addresses and Harvest keys are masked by their shape; ordinary text stays as it is."""
    assert Redactor().text(text) == shown


@pytest.mark.parametrize(
    "name",
    [
        *["key", "api_key", "harvest_key", "apiKey", "token", "accessToken", "client_secret", "password"],
        *["Authorization", "Proxy-Authorization", "Set-Cookie", "smtp_url", "database_url", "http_proxy"],
    ],
)
def test_fields_of_these_names_are_masked(name: str) -> None:
    """A field whose name means a secret is masked, whatever its value, at any depth."""
    fields = Redactor().fields({"outer": [{name: "abc"}], name: {"inner": 1}})

    assert fields == {"outer": [{name: MASK}], name: MASK}


def test_other_fields_stay() -> None:
    """Fields that on-call needs stay as they are; values that JSON cannot express become text."""
    now = datetime(2026, 11, 23, tzinfo=UTC)
    fields = {"tenant": "acme", "credential": "Gem", "count": 3, "ratio": 0.5, "none": None, "at": now, "raw": b"x"}

    assert Redactor().fields(fields) == {**fields, "at": str(now), "raw": "x"}


def test_nothing_breaks_on_odd_values() -> None:
    """A value that contains itself, or that cannot be shown, is replaced; the rest of the line is kept."""

    class Broken:
        def __str__(self) -> str:
            raise RuntimeError(KEY)

    endless: list[object] = []
    endless.append(endless)

    fields = Redactor().fields({"endless": endless, "broken": Broken()})

    assert fields["broken"] == "<Broken>"
    assert "…" in json.dumps(fields, ensure_ascii=False)


def test_the_oldest_secret_is_forgotten() -> None:
    """At most `capacity` are known; one used again counts as new, and a forgotten one leaves nothing behind."""
    redactor = Redactor(capacity=2)
    for secret in ("first-one", "second-one", "first-one", "third-one"):
        redactor.learn(secret)

    assert redactor.text("first-one second-one third-one") == "*** second-one ***"
    for number in range(100):
        redactor.learn(f"secret-{number}")
    assert redactor.text("first-one third-one secret-50 secret-99") == "first-one third-one secret-50 ***"


def test_of_two_secrets_the_longer_is_masked() -> None:
    """If one secret is the beginning of another, nothing of the longer one remains."""
    redactor = Redactor()
    for secret in ("hunter2", "hunter2-longer", "hunter2-"):
        redactor.learn(secret)

    assert redactor.text("hunter2-longer hunter2") == "*** ***"


def test_a_very_short_secret_is_not_learned() -> None:
    """Three characters would mask half of every line."""
    redactor = Redactor()
    redactor.learn("inf")

    assert redactor.text("info") == "info"
