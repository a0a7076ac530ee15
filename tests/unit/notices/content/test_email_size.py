"""No email is larger than mail programs show, and what is to be forwarded is in it, early and whole."""

from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from monitor.drift import EventKind
from monitor.notices.content.email_size import email_size
from monitor.notices.content.messages import CsmMessage, Message
from monitor.notices.content.news_from_causes import Background
from monitor.notices.content.render import RenderedMessage, Renderer
from monitor.notices.content.retired_message import (
    Boxes,
    Customers,
    RetiredKey,
    RetiredMessage,
    ScopeGroup,
    ScopeRequest,
)
from monitor.notices.content.shortening import MOST_PARTS, in_parts
from monitor.notices.notice import ClaimedNotice, as_email
from monitor.notices.wording import clean
from tests.messages import HOSTILE, UNICODE, messages_of_every_kind
from tests.notices import NOW, a_cause, composed, for_operator

EARLY = 12_000  # so far into the page at most, what is to be forwarded begins
RENDERER = Renderer(public_url="https://monitor.vendor.example")
GROUPS = tuple(ScopeGroup(f"Group {g}", tuple(f"List things {g}-{t}" for t in range(5))) for g in range(12))
TITLES = [title for group in GROUPS for title in group.titles]


def _as_sent(rendered: RenderedMessage) -> int:
    subject, text, html = rendered.subject, rendered.text, rendered.html
    notice = ClaimedNotice(1, "dana@vendor.example", subject, text, html, "<1@vendor.example>", 1, reader="Dana Reyes")
    return len(as_email(notice, "Harvest Monitor <monitor@vendor.example>", NOW).as_bytes())


def _retired(names: list[str], requests: int = 1, unknown: int = 0, keys_each: int = 1) -> RetiredMessage:
    """About customers of these names, spread over so many parts to forward, the last `unknown` without any."""
    keys = [
        tuple(RetiredKey(clean(name), f"t{n}", f"Key {k}", "3 Sep 2026, 12:00 UTC") for k in range(keys_each))
        for n, name in enumerate(names)
    ]
    known, others = keys[: len(keys) - unknown], [key for of_one in keys[len(keys) - unknown :] for key in of_one]
    shares = [share for share in (known[number::requests] for number in range(requests)) if share]
    asked = tuple(
        ScopeRequest(
            Customers(len(share), tuple(k for of_one in share for k in of_one)), Boxes(GROUPS), (), approved=True
        )
        for share in shares
    )
    return RetiredMessage("Dana", len(names), asked, Customers(unknown, tuple(others)), again=False, redirect="")


def _named(part: RetiredMessage) -> set[str]:
    return {key.tenant_id for key in part.keys}


def _unnamed(part: RetiredMessage) -> int:
    return sum(request.customers.unnamed for request in part.requests) + part.others.unnamed


@settings(max_examples=12)
@example(1699, "Acme & <Söhne> " * 12, 2, 0, 1)  # the words about the rest needed the room of a name
@given(
    st.integers(1, 2000),
    st.sampled_from(["Acme Corporation", "Žluťoučký kůň s.r.o.", "株式会社" * 12, "Acme & <Söhne> " * 12, "🐎"]),
    st.integers(1, 5),
    st.integers(0, 40),
    st.integers(1, 3),
)
def test_every_customer_is_named_in_one_email_with_its_part_to_forward(
    number: int, name: str, requests: int, unknown: int, keys_each: int
) -> None:
    """1 to 2,000 customers with names of any length and script: each email is small, and none loses a customer."""
    message = _retired([f"{name} {n}" for n in range(number)], requests, min(unknown, number), keys_each)
    parts = in_parts(message, RENDERER.fits)
    assert 1 <= len(parts) <= MOST_PARTS
    assert sum(part.count for part in parts) == number
    seen = [_named(part) for part in parts]
    assert sum(map(len, seen)) == len(set().union(*seen))
    assert sum(map(len, seen)) + sum(map(_unnamed, parts)) == number
    assert not any(map(_unnamed, parts[:-1]))
    for part in parts:
        rendered = RENDERER.render(part)
        assert rendered.problem == ""
        assert _as_sent(rendered) < 90_000
        names = list(dict.fromkeys(key.customer for key in part.keys))
        for words in (rendered.text, *([rendered.html] if part.requests else [])):
            assert all(title in words for title in TITLES if part.requests)
        assert all(one in rendered.text for one in names)


def test_450_customers_are_one_email_that_begins_with_what_to_forward() -> None:
    """Gmail shows all of it; before, the part to forward began at byte 108,721."""
    (part,) = in_parts(_retired([f"Acme Corporation {n}" for n in range(450)]), RENDERER.fits)
    rendered = RENDERER.render(part)
    assert _as_sent(rendered) < 50_000
    assert rendered.html.encode().index(b"API Credential Management") < EARLY
    assert rendered.html.index(TITLES[-1]) < rendered.html.index("Acme Corporation 449")
    assert rendered.text.count("Acme Corporation ") == 450


def test_2000_customers_are_told_which_email_of_how_many_it_is() -> None:
    """In the subject, and in the text with the number of all of them."""
    parts = in_parts(_retired([f"Acme Corporation {n}" for n in range(2000)]), RENDERER.fits)
    assert len(parts) == 2
    subjects = [RENDERER.render(part).subject[:8] for part in parts]
    assert subjects == ["(1 of 2)", "(2 of 2)"]
    for part in parts:
        assert "together they are about all 2,000 customers" in " ".join(RENDERER.render(part).text.split())


def _large_messages() -> Iterator[Message]:
    """What a night with every permission of every tenant lost brings, and more of each thing than there ever is."""
    impacts = {
        f"p{n}": "Interviews no longer sync, and candidates' stages are out of date in the product." * 2
        for n in range(65)
    }
    background = Background(impacts, ())
    for credentials in (1, 3, 6):
        causes = [
            a_cause(EventKind.LOST, f"p{n}", permission_label=f"GET: Retrieve something {n}", credential_id=c)
            for n in range(65)
            for c in range(credentials)
        ]
        yield composed(*causes, background=background).drafts[0].message
    for tenants in (1, 60, 700):
        found = [
            for_operator(EventKind.FOUND, f"p{n}", f"t{t}", credential_id=t, permission_label=f"GET: Retrieve {n}")
            for t in range(tenants)
            for n in range(65 if tenants < 700 else 3)
        ]
        yield composed(*found, background=background).drafts[0].message
    wave = [a_cause(EventKind.LOST, f"p{n}", f"t{t}", credential_id=t) for n in range(65) for t in range(20)]
    yield composed(*wave, checked=30).drafts[-1].message
    for text in (HOSTILE, UNICODE * 8):
        yield from messages_of_every_kind(text, 60)


def test_no_email_is_larger_than_mail_programs_show() -> None:
    """Of any kind; what an email to a CSM asks a customer for is whole in it."""
    for message in _large_messages():
        rendered = RENDERER.render(message)
        assert rendered.problem == ""
        assert _as_sent(rendered) < 90_000, message.template
        if isinstance(message, CsmMessage) and message.asks and rendered.html:
            lost = [
                line.label
                for one in message.credentials
                if (list_ := one.listing("lost"))
                for line in list_.permissions
            ]
            forwarded = rendered.text[rendered.text.index("Copy this part") :]
            assert all(label in forwarded for label in lost)


def test_fallback_text_is_as_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A template that cannot be used is no reason to send more than is shown."""
    broken = Renderer()
    monkeypatch.setattr(broken, "_by_template", None)
    for message in _large_messages():
        assert _as_sent(broken.render(message)) < 90_000, message.template


WORDS = st.lists(
    st.sampled_from([" ", "\n", "=", ".", "ü", "株", "a" * 75, " \n", "\t\n", "x=\n", "<p>"]) | st.text(max_size=9)
)


@given(WORDS.map("".join), WORDS.map("".join))
def test_an_emails_size_is_never_underrated(text: str, html: str) -> None:
    """By whatever encoding it is sent, to whomever, with the longest headers."""
    address = f"{'a' * 60}@{'b' * 60}.{'c' * 60}.{'d' * 50}.example"
    facts = (1, address, "株" * 180, text * 9, html * 9, f"<{'0' * 32}@{address.partition('@')[2]}>", 1)
    email = as_email(ClaimedNotice(*facts, reader="株" * 100), f"Harvest Monitor <{address}>", NOW)
    assert len(email.as_bytes()) <= email_size(text * 9, html * 9)
