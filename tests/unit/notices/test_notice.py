"""The email as it is sent: headers that cannot be forged, names in any script, a constant Message-ID."""

from email import message_from_bytes, policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.errors import DeliveryError, FailureScope
from monitor.notices.notice import ClaimedNotice, as_email, message_id
from tests.notices import NOW

SENDER = "Harvest Monitor <monitor@vendor.example>"


def _notice(**facts: object) -> ClaimedNotice:
    values = {
        "id": 1,
        "recipient": "dana@vendor.example",
        "subject": "Acme: Greenhouse permission missing",
        "text": "Hello Dana,\n",
        "html": "<p>Hello Dana,</p>",
        "message_id": "<0123456789abcdef@vendor.example>",
        "attempts": 1,
    }
    return ClaimedNotice(**values | facts)  # type: ignore[arg-type]


def test_headers_say_who_and_that_a_machine_wrote() -> None:
    """Sender, reader, subject, date and identity; and a request for no automatic answers."""
    email = as_email(_notice(), SENDER, NOW)
    assert dict(email.items()) == {
        "From": "Harvest Monitor <monitor@vendor.example>",
        "To": "dana@vendor.example",
        "Subject": "Acme: Greenhouse permission missing",
        "Message-ID": "<0123456789abcdef@vendor.example>",
        "Date": "Mon, 23 Nov 2026 14:05:00 +0000",
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "All",
        "MIME-Version": "1.0",
        "Content-Type": email["Content-Type"],
    }
    assert email["Content-Type"].startswith("multipart/alternative")


@pytest.mark.parametrize("name", ["Žluťoučký kůň 株式会社 🐎", "Acme, Inc.", "ß" * 170])
def test_any_script_travels_in_ascii_and_arrives_whole(name: str) -> None:
    """Subject, text and page arrive as they were, through ASCII bytes only and lines of legal length."""
    notice = _notice(subject=f"{name}: 1 permission", text=f"{name} “x”\n", html=f"<p>{name}</p>\n")
    raw = as_email(notice, f'"{name[:40]}" <monitor@vendor.example>', NOW).as_bytes()
    assert raw.isascii()
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998
    arrived = message_from_bytes(raw, policy=policy.default)
    assert arrived["Subject"] == notice.subject
    assert arrived["From"].addresses[0].addr_spec == "monitor@vendor.example"
    assert arrived.get_body(("plain",)).get_content().replace("\r\n", "\n") == notice.text
    assert arrived.get_body(("html",)).get_content().replace("\r\n", "\n") == notice.html


@pytest.mark.parametrize(
    "facts",
    [
        {"subject": "Acme\r\nBcc: everybody@example.org"},
        {"subject": "Acme\nBcc: everybody@example.org"},
        {"recipient": "dana@vendor.example\r\nBcc: everybody@example.org"},
        {"recipient": "dana@vendor.example, everybody@example.org"},
        {"recipient": "Dana\n <dana@vendor.example>"},
        {"recipient": "dāna@vendor.example"},
        {"recipient": "dana"},
        {"recipient": ""},
        {"message_id": "<1@x>\r\nBcc: everybody@example.org"},
    ],
)
def test_an_invalid_header_is_refused_for_good(facts: dict[str, str]) -> None:
    """A line break, a second address or an address outside ASCII makes no email, rather than a different one."""
    with pytest.raises(DeliveryError, match="cannot be made an email") as refused:
        as_email(_notice(**facts), SENDER, NOW)
    assert (refused.value.blame, refused.value.permanent) == (FailureScope.MAIL, True)


@given(
    st.lists(
        st.sampled_from(
            [
                "GET:",
                "permission",
                "label",
                "of",
                "“Gem",
                "Žluť",
                "application’s",
                "ß" * 25,
                "(x)",
                "—",
                "=?x?=",
                "a" * 30,
            ]
        )
    )
)
def test_a_subject_keeps_every_blank(words: list[str]) -> None:
    """However long and mixed, a subject arrives exactly as it was written."""
    subject = " ".join(["Acme:", *words])
    raw = as_email(_notice(subject=subject), SENDER, NOW).as_bytes()
    assert message_from_bytes(raw, policy=policy.default)["Subject"] == subject
    assert all(len(line) <= 78 for line in raw.split(b"\r\n")[:12])


def test_a_line_of_the_text_cannot_be_a_header() -> None:
    """What is in the text stays in the text."""
    email = as_email(_notice(text="\r\nBcc: everybody@example.org\n.\n"), SENDER, NOW)
    arrived = message_from_bytes(email.as_bytes(), policy=policy.default)
    assert arrived["Bcc"] is None
    assert "Bcc: everybody@example.org" in arrived.get_body(("plain",)).get_content()


@pytest.mark.parametrize(
    ("mail_from", "expected"),
    [
        ("monitor@vendor.example", "<abc@vendor.example>"),
        ("Harvest Monitor <monitor@vendor.example>", "<abc@vendor.example>"),
        ('"Monitor, Harvest" <monitor@mail.vendor.example>', "<abc@mail.vendor.example>"),
    ],
)
def test_a_message_id_is_of_the_senders_domain(mail_from: str, expected: str) -> None:
    """The identity of the notice at the sender's domain, and nothing else, so it is the same on every attempt."""
    assert message_id("abc", mail_from) == expected


ODD = ["\r\n", ",", ";", '"', "\\", "<", ">", "(", "@", "=?utf-8?b?", "?=", "株", "\u202e", "\ud800", ".", " "]
NAMES = st.lists(st.text(max_size=5) | st.sampled_from(ODD), max_size=60).map("".join)


@given(NAMES)
def test_a_readers_name_never_becomes_an_address_or_a_header(name: str) -> None:
    """Whatever a tenants file calls a CSM: one recipient, no header of its own, ASCII in lines of legal length."""
    email = as_email(_notice(reader=name), f'"{SENDER[:7]}" <monitor@vendor.example>', NOW)
    raw = email.as_bytes()
    head = raw.partition(b"\r\n\r\n")[0]
    assert head.isascii()
    assert max(len(line) for line in head.split(b"\r\n")) <= 98
    arrived = message_from_bytes(raw, policy=policy.default)
    assert [each.addr_spec for each in arrived["To"].addresses] == ["dana@vendor.example"]
    assert arrived.keys() == as_email(_notice(), SENDER, NOW).keys()
    assert email["To"].addresses[0].addr_spec == "dana@vendor.example"  # what the envelope is made of


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("Dana Reyes", b"To: Dana Reyes <dana@vendor.example>"),
        ("Reyes, Dana", b'To: "Reyes, Dana" <dana@vendor.example>'),
        ('Dana "D." Reyes', b"To: =?utf-8?"),
        ("Žofie", b"To: =?utf-8?"),
        ("", b"To: dana@vendor.example\r\n"),
        ("dana@evil.example", b'To: "dana@evil.example" <dana@vendor.example>'),
    ],
)
def test_a_reader_is_addressed_by_name(name: str, header: bytes) -> None:
    """As it was written, in quotes or in an encoded word where a header needs them."""
    raw = as_email(_notice(reader=name), SENDER, NOW).as_bytes()
    assert b"\r\n" + header in raw
    assert message_from_bytes(raw, policy=policy.default)["To"].addresses[0].display_name == name


@pytest.mark.parametrize("recipient", ["dana@bücher.example", "dana@xn--bcher-kva.example"])
def test_an_internationalized_domain_is_sent_in_ascii(recipient: str) -> None:
    """In the header, and so in the envelope; the sender's, too."""
    email = as_email(_notice(recipient=recipient), "Monitor <monitor@bücher.example>", NOW)
    assert email["To"].addresses[0].addr_spec == "dana@xn--bcher-kva.example"
    assert b"From: Monitor <monitor@xn--bcher-kva.example>" in email.as_bytes()
    assert message_id("abc", "Monitor <monitor@xn--bcher-kva.example>") == "<abc@xn--bcher-kva.example>"
