"""Whose fault a refusal is, by the words of mail servers that people run."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.errors import FailureScope
from monitor.notices.delivery.mail_refusal import MailRefusal, SmtpStep, judged

OF_US = [
    "504 5.5.2 <localhost>: Helo command rejected: need fully-qualified hostname",
    "550 5.7.1 <vendor.example>: Helo command rejected: You are not me",
    "450 4.7.1 <vendor.example>: Helo command rejected: Host not found",
    "550 Access denied - Invalid HELO name (See RFC2821 4.1.1.1)",
    "554 5.7.1 <unknown[192.0.2.1]>: Client host rejected: Access denied",
    "450 4.7.25 Client host rejected: cannot find your hostname, [192.0.2.1]",
    "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org",
    "550 5.7.1 Service unavailable, Client host [192.0.2.1] blocked using Spamhaus",
    "554 5.7.1 <monitor@vendor.example>: Sender address rejected: Access denied",
    "450 4.1.8 <monitor@vendor.example>: Sender address rejected: Domain not found",
    "553 5.7.1 <monitor@vendor.example>: Sender address rejected: not owned by user monitor",
    "550 5.1.7 The address is not allowed here",
    "550 Sender verify failed",
    "530 5.7.0 Must issue a STARTTLS command first",
    "530 5.7.1 Authentication required",
    "550 5.7.57 Client not authenticated to send mail",
    "450 4.7.1 Error: too many recipients from 192.0.2.1",
    "451 4.7.500 Server busy. Sending limit reached, rate limit exceeded",
    "550 5.7.26 Unauthenticated email is not accepted due to the domain's DMARC policy",
    "550-5.7.1 Our system has detected that this message is likely unsolicited; your IP is blocked",
]
OF_READER = [
    "550 5.1.1 <nobody@vendor.example>: Recipient address rejected: User unknown in virtual mailbox table",
    "550-5.1.1 The email account that you tried to reach does not exist.\n5.1.1 Please double-check it.",
    "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup",
    "550 5.2.1 The email account that you tried to reach is inactive.",
    "553 5.1.3 bad recipient address syntax",
    "550 5.1.2 <dana@nowhere.example>: Recipient address rejected: Domain not found",
    "556 5.1.10 <dana@nowhere.example>: Recipient address rejected: Domain does not accept mail (nullMX)",
    "550 No such user here",
    "550 unknown user",
    "550 Unrouteable address",
    "550 Mailbox not found",
    "551 The user does not exist",
    "550 5.1.1 <sender.relay.client@helo.example>: Recipient address rejected: User unknown",
    "550 5.1.1 No such user, see https://support.example/sender-blocked",
]
DOUBTFUL = [
    "554 5.7.1 <dana@elsewhere.example>: Relay access denied",
    "454 4.7.1 <dana@elsewhere.example>: Relay access denied",
    "550 relay not permitted",
    "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain",
    "554 5.7.1 <dana@vendor.example>: Recipient address rejected: Access denied",
    "550 5.4.1 Recipient address rejected: Access denied",
    "550 5.7.1 Recipient not allowed by policy",
    "550 Requested action not taken: mailbox unavailable",
    "550 5.0.0 Rejected",
    "550",
    "571 no",
    "451 4.3.0 <dana@vendor.example>: Temporary lookup failure",
    "421 4.3.2 Going down",
    "250 2.0.0 Yes",
]
FOR_NOW = [
    "450 4.2.0 <dana@vendor.example>: Recipient address rejected: Greylisted, see http://postgrey.example/",
    "451 4.7.1 Greylisting in action, please come back later",
    "452 4.2.2 The email account that you tried to reach is over quota",
    "552 5.2.2 Mailbox full",
    "450 4.1.1 <dana@vendor.example>: Recipient address rejected: unverified address",
    "450 please try again later",
    "550 4.2.1 contradicts itself about whether this is final, user unknown",
]


def _judged(reply: str, step: SmtpStep = SmtpStep.RECIPIENT) -> MailRefusal:
    return judged(step, int(reply[:3]), reply[4:])


@pytest.mark.parametrize("reply", OF_US)
@pytest.mark.parametrize("step", SmtpStep)
def test_what_speaks_of_us_is_the_servers(reply: str, step: SmtpStep) -> None:
    """Of EHLO, client, sender, login, encryption or pace: it never ends a notice, whatever its code."""
    assert _judged(reply, step) == MailRefusal(FailureScope.SERVER)


@pytest.mark.parametrize("reply", OF_READER)
def test_what_clearly_speaks_of_the_reader_is_final(reply: str) -> None:
    """No such mailbox or domain: only then is a notice given up at once. Words in an address or a link do not count."""
    assert _judged(reply) == MailRefusal(FailureScope.ADDRESS, permanent=True)


@pytest.mark.parametrize("reply", DOUBTFUL)
def test_doubt_ends_no_notice(reply: str) -> None:
    """It may concern this reader or every reader: it is tried again, and three in a row are the server's."""
    assert _judged(reply) == MailRefusal(FailureScope.UNCLEAR)


@pytest.mark.parametrize("reply", FOR_NOW)
def test_what_a_reader_is_refused_for_now_is_tried_again(reply: str) -> None:
    """Greylisting, a full mailbox, and what the reply calls temporary."""
    assert _judged(reply) == MailRefusal(FailureScope.ADDRESS)


@pytest.mark.parametrize(
    ("reply", "refusal"),
    [
        ("554 5.6.0 Content refused", MailRefusal(FailureScope.MAIL, permanent=True)),
        ("552 5.3.4 Message size exceeds fixed limit", MailRefusal(FailureScope.MAIL, permanent=True)),
        ("452 4.3.1 Disk full", MailRefusal(FailureScope.MAIL)),
        ("554 5.7.1 Message refused as spam", MailRefusal(FailureScope.UNCLEAR)),
        ("550 5.1.1 No such user", MailRefusal(FailureScope.ADDRESS, permanent=True)),
    ],
)
def test_a_refusal_of_the_email_is_final_if_it_speaks_of_the_email(reply: str, refusal: MailRefusal) -> None:
    """Its format or its size; what a filter thinks of it today may change."""
    assert _judged(reply, SmtpStep.CONTENT) == refusal


@given(st.sampled_from(SmtpStep), st.integers(0, 999), st.text(max_size=80))
def test_only_a_final_reply_ends_a_notice(step: SmtpStep, code: int, text: str) -> None:
    """Whatever a server writes, it is judged; and never as final without a 5 in front."""
    found = judged(step, code, text)
    assert not found.permanent or (500 <= code < 600 and found.blame in (FailureScope.ADDRESS, FailureScope.MAIL))
