"""Email addresses and the name we greet a mail server by. Each function returns the form to send, or raises ValueError.

Domains are sent in ASCII: an internationalized one in its `xn--` form (RFC 5890), which every mail server knows. A
local part outside ASCII would need SMTPUTF8 (RFC 6531) at every server on the way, so it is refused.
"""

import re
from email.utils import parseaddr
from ipaddress import IPv4Address, IPv6Address

import idna

from monitor.config.addresses import has_control_characters

NO_DOMAIN = "[127.0.0.1]"
"""How a client without a full name greets a server (RFC 5321, 4.1.4)."""

# RFC 5322, 3.2.3 (atext); quoted local parts are refused.
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_LOCAL_PART = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_NAME_AND_ADDRESS = re.compile(r"""((?:"[^"\\<>]{0,100}"|[^"\\<>@,;:()\[\]]{0,100}) ?)<([^<>]+)>""")
_LONGEST = 254  # RFC 5321, 4.5.3.1.3: 256 octets with the angle brackets
_LONGEST_DOMAIN = 253
_LONGEST_REASON = 120


def mail_address(text: str) -> str:
    """A bare email address in ASCII that can be put into an envelope and a header unchanged."""
    if has_control_characters(text):
        raise ValueError("must be one email address, without a line break or another control character")
    if "@" not in text:
        raise ValueError("must be an email address, with an @ in it")
    local_part, _, domain = text.rpartition("@")
    if not local_part.isascii():
        raise ValueError(
            "has a character outside ASCII before the @, which many mail servers do not accept (it needs SMTPUTF8): "
            "give another address of the same person, in ASCII, such as dana@vendor.example"
        )
    if not _LOCAL_PART.fullmatch(local_part):
        raise ValueError("must be one plain email address, such as dana@vendor.example")
    sent = f"{local_part}@{_in_ascii(domain)}"
    if len(sent) > _LONGEST:
        raise ValueError(f"must be an email address of at most {_LONGEST} characters")
    return sent


def named_mail_address(text: str) -> str:
    """A bare email address, or `Name <address>` with the name in double quotes if it holds a comma."""
    if has_control_characters(text):
        raise ValueError("must be one email address, without a line break or another control character")
    named = _NAME_AND_ADDRESS.fullmatch(text)
    return f"{named[1]}<{mail_address(named[2])}>" if named else mail_address(text)


def ehlo_name(text: str) -> str:
    """A full domain name, or an IP address in brackets: what RFC 5321, 4.1.4, allows a client to greet with."""
    if re.fullmatch(r"\[[0-9A-Fa-f:.IPv]{3,60}\]", text):
        return _address_literal(text)
    if has_control_characters(text) or "." not in text.strip("."):
        raise ValueError(
            "must be a full domain name, such as monitor.vendor.example, or an IP address in brackets, such as "
            "[192.0.2.1]: many mail servers refuse localhost and short names"
        )
    return _in_ascii(text)


def greeting_of(mail_from: str) -> str:
    """The name to greet with where none is set: the sender's domain, never this machine's own name."""
    domain = parseaddr(mail_from)[1].rpartition("@")[2]
    return domain if "." in domain else NO_DOMAIN


def _address_literal(text: str) -> str:
    inner = text[1:-1]
    try:
        IPv6Address(inner.removeprefix("IPv6:")) if inner.startswith("IPv6:") else IPv4Address(inner)
    except ValueError:
        raise ValueError("must hold an IP address in the brackets, such as [192.0.2.1] or [IPv6:2001:db8::1]") from None
    return text


def _in_ascii(domain: str) -> str:
    """The domain as it is, or in its xn-- form if it is internationalized."""
    sent = domain if domain.isascii() and "xn--" not in domain.lower() else _encoded(domain)
    if len(sent) > _LONGEST_DOMAIN or not _DOMAIN.fullmatch(sent):
        raise ValueError("must have a domain of letters, digits, dashes and dots, such as vendor.example")
    return sent


def _encoded(domain: str) -> str:
    try:
        return idna.encode(domain, uts46=True).decode()
    except UnicodeError as problem:  # idna's errors are of this class
        reason = re.sub(r"(of )?'.*'|\".*\"", "of a label", str(problem))[:_LONGEST_REASON]  # without the input
        raise ValueError(
            f"has a domain that cannot be sent as xn--… ({reason}): correct it, or give the xn-- form that its "
            "registrar shows"
        ) from None
