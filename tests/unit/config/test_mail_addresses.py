"""Email addresses as they are sent, and the name that greets a mail server."""

from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.config.mail_addresses import ehlo_name, greeting_of, mail_address, named_mail_address


@pytest.mark.parametrize(
    "address", ["dana@vendor.example", "d.r+x@a-b.vendor.example", "o'neil@x", f"{'a' * 60}@vendor.example"]
)
def test_mail_addresses(address: str) -> None:
    """A plain address is accepted unchanged, alone or after a name."""
    assert mail_address(address) == address
    assert named_mail_address(f"Dana Reyes <{address}>") == f"Dana Reyes <{address}>"
    assert named_mail_address(f'"Gem, Inc." <{address}>') == f'"Gem, Inc." <{address}>'
    assert named_mail_address(address) == address


@pytest.mark.parametrize(
    "address",
    [
        "",
        "dana",
        "dana@",
        "@vendor.example",
        "dana@vendor.example\n",
        "dana@vendor.example\r\nBcc: all@vendor.example",
        "dana@vendor.example\u2028Bcc: x@y",
        "dana@vendor.example, lee@vendor.example",
        "Dana <dana@vendor.example>",
        "da na@vendor.example",
        "dana@@vendor.example",
        ".dana@vendor.example",
        "dana@vendor..example",
        "dana@-vendor.example",
        "dana@vend_r.example",
        "a" * 250 + "@x.example",
        "dana@" + "a" * 100 + "!",  # a pattern with two ways to match would not end on this one
    ],
)
def test_mail_addresses_refused(address: str) -> None:
    """An address brings no line break, list, name or odd character into a header."""
    with pytest.raises(ValueError, match=r"must (be|have)"):
        mail_address(address)
    with pytest.raises(ValueError, match=r"must (be|have)"):
        named_mail_address(f"Gem\n<{address}>")


@given(st.from_regex(r"[a-zA-Z0-9!#$%&'*+/=?^_`{|}~.@\-,<>\" ]{1,30}@[a-z0-9.\-]{1,30}", fullmatch=True))
def test_a_mail_address_stays_one_address_in_a_header(text: str) -> None:
    """A parser reads any accepted address from an email's header as that one address."""
    try:
        address = mail_address(text)
    except ValueError:
        return
    message = EmailMessage()
    message["To"] = address
    assert [found.addr_spec for found in message["To"].addresses] == [text]


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("dana@bücher.example", "dana@xn--bcher-kva.example"),
        ("dana@BÜCHER.example", "dana@xn--bcher-kva.example"),
        ("dana@straße.example", "dana@xn--strae-oqa.example"),  # by the standard of 2003: strasse.example
        ("dana@例え.example", "dana@xn--r8jz45g.example"),
        ("dana@xn--bcher-kva.example", "dana@xn--bcher-kva.example"),
    ],
)
def test_an_internationalized_domain_is_sent_in_its_xn_form(written: str, sent: str) -> None:
    """Alone and after a name, which stays as it is."""
    assert mail_address(written) == sent
    assert named_mail_address(f"Ünal <{written}>") == f"Ünal <{sent}>"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("jörg@vendor.example", "SMTPUTF8.*give another address"),
        ("dana@bü_cher.example", "cannot be sent as xn--"),
        ("dana@xn--zzzzzz-.example", "cannot be sent as xn--"),
        ("dana@" + ".".join(["büüüüüüüüüüüüüüücher"] * 9) + ".example", "cannot be sent as xn--.*Domain too long"),
        ("dana@" + "ü" * 70 + ".example", "cannot be sent as xn--"),
    ],
)
def test_what_cannot_be_sent_says_why_and_what_to_do(written: str, said: str) -> None:
    """A character before the @ that most servers refuse, or a domain with no form in ASCII."""
    with pytest.raises(ValueError, match=said):
        mail_address(written)


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("monitor.vendor.example", "monitor.vendor.example"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("[192.0.2.1]", "[192.0.2.1]"),
        ("[IPv6:2001:db8::1]", "[IPv6:2001:db8::1]"),
    ],
)
def test_a_greeting_is_a_full_name_or_an_address(written: str, sent: str) -> None:
    """What a mail server may ask of a client's EHLO."""
    assert ehlo_name(written) == sent


@pytest.mark.parametrize(
    "written",
    [
        "",
        "localhost",
        "pod-1",
        "localhost.",
        "192.0.2.1 ",
        "[2001:db8::1]",
        "[192.0.2.300]",
        "a.example\r\nMAIL",
        "a_b.example",
    ],
)
def test_no_other_greeting_is_accepted(written: str) -> None:
    """Short names, what is no address, and what would begin a command of its own."""
    with pytest.raises(ValueError, match=r"must h?(be|old|ave)"):
        ehlo_name(written)


@pytest.mark.parametrize(
    ("mail_from", "greeting"),
    [
        ("monitor@vendor.example", "vendor.example"),
        ('"Monitor, Harvest" <monitor@mail.vendor.example>', "mail.vendor.example"),
        ("monitor@localhost", "[127.0.0.1]"),
        ("", "[127.0.0.1]"),
    ],
)
def test_without_a_setting_the_senders_domain_greets(mail_from: str, greeting: str) -> None:
    """Never this machine's own name; without a full name, an address as RFC 5321 asks for."""
    assert greeting_of(mail_from) == greeting
