"""How large an email is as it is sent, and how large it may be: mail programs cut off what is longer. Pure."""

from binascii import b2a_qp

from monitor.notices.notice import transfer_encoding

LARGEST = 89_000
"""In bytes, all parts encoded. Gmail shows some 102 kB of an email; the servers on its way add headers of theirs."""

_HEADERS = 4_000  # with a subject, names and addresses as long as they can be, and the borders of the parts
_BASE64_LINE, _BASE64_BYTES = 78, 57  # with its line break, and what is in it


def email_size(text: str, html: str) -> int:
    """In bytes, never too few. Counted, as making each email that may be too large would take most of the time."""
    return _HEADERS + _encoded_size(text) + _encoded_size(html)


def _encoded_size(text: str) -> int:
    content = text.encode("utf-8", "replace")
    if transfer_encoding(content) == "base64":
        content = content.replace(b"\n", b"\r\n")
        return _BASE64_LINE * (len(content) // _BASE64_BYTES + 2)
    encoded = b2a_qp(content)
    # The email package breaks lines a little earlier.
    return len(encoded) * 51 // 50 + encoded.count(b"\n") + _BASE64_LINE
