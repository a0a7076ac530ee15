"""What a mail server's refusal is due to, once the reader is named: the reader, this email, or how it sees us. Pure.

By default Postfix says at RCPT what it holds against the client, its EHLO name or the sender (smtpd_delay_reject), so
the step alone tells nothing. Only what clearly speaks of the reader or of this email ends a notice; doubt is the
server's.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from monitor.errors import FailureScope


class SmtpStep(StrEnum):
    """The command that was refused: the reader's address, or the email itself."""

    RECIPIENT = "recipient"
    CONTENT = "content"


@dataclass(frozen=True, slots=True)
class MailRefusal:
    """`permanent`: a retry cannot help."""

    blame: FailureScope
    permanent: bool = False


_ENHANCED = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})\b")
_QUOTED = re.compile(r"<[^<>]*>|\S+@\S+|https?://\S+")  # an address or a link may hold any of the words below
_GREYLISTED = re.compile(r"gr[ea]y[ -]?list", re.IGNORECASE)
# RFC 3463, 3.2 and 3.3, and RFC 7505 (x.1.10): the mailbox or its domain does not exist, has moved, or is disabled.
_OF_READER = frozenset({(1, 1), (1, 2), (1, 3), (1, 6), (1, 10), (2, 1)})
_MAILBOX_FULL = (2, 2)
# RFC 3463, 3.7: the format of the email; and x.3.4, an email too large for the system.
_OF_CONTENT, _TOO_LARGE = 6, (3, 4)
_OF_SENDER = frozenset({(1, 7), (1, 8)})
_SYSTEM, _NETWORK, _POLICY = 3, 4, 7
_SPEAKS_OF_US = re.compile(
    r"""\b(helo|ehlo|sender|mail\ from|return[ -]path|submission)\b
    |\bclient\ (host|address|ip|was|is|not|rejected|blocked|denied)|;\ client\b
    |\b(your|remote|source|sending)\ (ip|host|server|network)
    |\bauthenticat|\bauthori[sz]|\blog\ ?in\b|\bcredentials\b
    |\b(start)?tls\b|\bencrypt|\bssl\b
    |\btoo\ (many|much)\b|\brate[ -]?limit|\bthrottl|\bunusual\ rate|\bsending\ limit
    |\bblock(ed|ing)?\b|\bblock[ -]?list|\bblack[ -]?list|\bdeny[ -]?list|\bdnsbl|\brbl\b|\bspamhaus\b|\breputation\b
    |\bspf\b|\bdkim\b|\bdmarc\b|\br(everse\ |-?)dns\b|\bptr\b|\bgreeting\b""",
    re.IGNORECASE | re.VERBOSE,
)
_SPEAKS_OF_READER = re.compile(
    r"""\b(unknown|no\ such|invalid|unrouteable|bad|nonexistent|non-existent|inactive|disabled)\ (local\ |virtual\ )?
        (user|recipient|mailbox|account|address)\b
    |\b(user|recipient|mailbox|account|address)\b.{0,40}
        \b(unknown|does\ not\ exist|doesn't\ exist|not\ found|no\ longer|disabled|inactive)\b
    |\bno\ (mailbox|user|account)\b""",
    re.IGNORECASE | re.VERBOSE,
)


def judged(step: SmtpStep, code: int, text: str) -> MailRefusal:
    """`code` is the reply's, `text` all that follows it.

    A reply that is no refusal at all, or 421, which closes the connection and may follow any command (RFC 5321, 4.2.3),
    may be due to anything.
    """
    if not 400 <= code < 600 or code == 421:
        return MailRefusal(FailureScope.UNCLEAR)
    found = _ENHANCED.match(text)
    detail = (int(found[2]), int(found[3])) if found else None
    final = code >= 500 and (found is None or found[1] == "5")
    said = _QUOTED.sub("", text)
    if code < 500 and _GREYLISTED.search(said):
        return MailRefusal(FailureScope.ADDRESS)
    if _SPEAKS_OF_US.search(said) or detail in _OF_SENDER:
        return MailRefusal(FailureScope.SERVER)
    if detail == _MAILBOX_FULL:
        return MailRefusal(FailureScope.ADDRESS)  # final for the server, but a mailbox is emptied one day
    if detail in _OF_READER or (detail is None and _SPEAKS_OF_READER.search(said)):
        return MailRefusal(FailureScope.ADDRESS, permanent=final)
    if step is SmtpStep.CONTENT and detail is not None and (detail[0] == _OF_CONTENT or detail == _TOO_LARGE):
        return MailRefusal(FailureScope.MAIL, permanent=final)
    return _doubtful(step, final, detail)


def _doubtful(step: SmtpStep, final: bool, detail: tuple[int, int] | None) -> MailRefusal:
    """A refusal for now by one reader or of one email is no sign of trouble with the server; a final one may be."""
    of_system = detail is not None and detail[0] in (_SYSTEM, _NETWORK, _POLICY)
    if final or (of_system and step is SmtpStep.RECIPIENT):
        return MailRefusal(FailureScope.UNCLEAR)
    return MailRefusal(FailureScope.ADDRESS if step is SmtpStep.RECIPIENT else FailureScope.MAIL)
