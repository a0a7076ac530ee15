"""Emails through a real SMTP server on loopback, and into a folder."""

import asyncio
import socket
import stat
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from monitor.config.addresses import Encryption, MailFolder, MailServer
from monitor.errors import DeliveryError, FailureScope
from monitor.notices.delivery import transport
from monitor.notices.delivery.transport import LONGEST_SEND, FolderTransport, SmtpTransport, transport_for
from monitor.notices.notice import ClaimedNotice, as_email
from tests.mail import AUTHORITY, PASSWORD, Sink, listening, plain, server_tls, starttls
from tests.notices import NOW
from tests.outbox import EHLO_NAME

TIMEOUT = timedelta(seconds=5)
IMPATIENT = timedelta(seconds=1)  # where an answer never comes: long enough for all others on a busy machine


def _transport(port: int, encryption: Encryption = Encryption.NONE, **facts: Any) -> SmtpTransport:
    ca_bundle = facts.pop("ca_bundle", AUTHORITY)
    timeout = facts.pop("timeout", TIMEOUT)
    return SmtpTransport(
        MailServer(facts.pop("host", "127.0.0.1"), port, encryption, **facts), timeout, EHLO_NAME, ca_bundle
    )


def _an_email(recipient: str = "dana@vendor.example") -> EmailMessage:
    notice = ClaimedNotice(
        id=1,
        recipient=recipient,
        subject="Žluťoučký: Greenhouse permission missing (List offers)",
        text=".\nHello Dana,\n“äöü”\n" + "x" * 2000 + "\n",
        html="<p>“äöü”</p>\n",
        message_id="<0123456789abcdef@vendor.example>",
        attempts=1,
    )
    return as_email(notice, "Harvest Monitor <monitor@vendor.example>", NOW)


async def test_a_mail_arrives_as_it_was_written() -> None:
    """The envelope names sender and reader; headers, text and page arrive complete, long lines and single dots too."""
    sink, email = Sink(), _an_email()
    async with listening(plain(sink)) as port:
        await _transport(port).send(email)
    assert sink.envelopes == [("monitor@vendor.example", ["dana@vendor.example"])]
    assert max(len(line) for line in sink.taken[0].split(b"\r\n")) < 998
    for header in ("From", "To", "Subject", "Message-ID", "Auto-Submitted"):
        assert sink.message()[header] == email[header]
    for kind in ("plain", "html"):
        ours, theirs = email.get_body((kind,)), sink.message().get_body((kind,))
        assert ours is not None and theirs is not None  # noqa: PT018
        assert theirs.get_content().split() == ours.get_content().split()


async def test_starttls_and_a_password() -> None:
    """The connection is encrypted before the password and the email are sent."""
    sink = Sink()
    async with listening(starttls(sink)) as port:
        await _transport(port, Encryption.STARTTLS, username="monitor", password=PASSWORD).send(_an_email())
    assert sink.encrypted == [True]


async def test_tls_from_the_first_byte() -> None:
    """smtps:// starts with TLS."""
    sink = Sink()
    async with listening(plain(sink), tls=server_tls()) as port:
        await _transport(port, Encryption.TLS, host="localhost").send(_an_email())
    assert len(sink.taken) == 1


@pytest.mark.parametrize("encryption", [Encryption.STARTTLS, Encryption.TLS])
async def test_a_certificate_of_an_unknown_authority_is_refused(encryption: Encryption) -> None:
    """If its authority is not trusted, nothing is sent; that can be fixed, so it is tried again."""
    sink = Sink()
    protocol, tls = (starttls(sink), None) if encryption is Encryption.STARTTLS else (plain(sink), server_tls())
    async with listening(protocol, tls) as port:
        with pytest.raises(DeliveryError, match=r"(?i)certificate") as refused:
            await _transport(port, encryption, ca_bundle=None).send(_an_email())
    assert (sink.taken, refused.value.blame) == ([], FailureScope.SERVER)


async def test_a_server_without_starttls_gets_nothing() -> None:
    """Encryption is never dropped silently."""
    sink = Sink()
    async with listening(plain(sink)) as port:
        with pytest.raises(DeliveryError, match=r"(?i)starttls") as refused:
            await _transport(port, Encryption.STARTTLS, username="monitor", password=PASSWORD).send(_an_email())
    assert (sink.taken, refused.value.blame) == ([], FailureScope.SERVER)


async def test_a_wrong_password_is_ours_to_correct() -> None:
    """A refused login says nothing about the email: it is tried again, and no error contains the password."""
    sink = Sink()
    async with listening(starttls(sink)) as port:
        with pytest.raises(DeliveryError, match="535") as refused:
            await _transport(port, Encryption.STARTTLS, username="monitor", password=f"{PASSWORD}!").send(_an_email())
    assert refused.value.blame is FailureScope.SERVER
    assert PASSWORD not in f"{refused.value}{refused.value.__cause__!r}"


@pytest.mark.parametrize(
    ("step", "answer", "blame", "permanent"),
    [
        ("RCPT", "550 5.1.1 No such user", FailureScope.ADDRESS, True),
        ("RCPT", "450 4.2.1 Greylisted", FailureScope.ADDRESS, False),
        ("DATA", "554 5.6.0 Content refused", FailureScope.MAIL, True),
        ("DATA", "452 4.3.1 Disk full", FailureScope.MAIL, False),
        ("MAIL", "550 5.7.1 Sender not allowed", FailureScope.SERVER, False),  # a setting of ours, not this email
        ("MAIL", "451 4.3.0 Try later", FailureScope.SERVER, False),
        ("MAIL", "421 4.3.2 Going down", FailureScope.SERVER, False),
        (
            "RCPT",
            "421 4.3.2 Going down",
            FailureScope.UNCLEAR,
            False,
        ),  # some servers say it to every client, some to one email
        ("DATA", "421 4.7.0 Not now", FailureScope.UNCLEAR, False),
    ],
)
async def test_a_refusal_is_permanent_only_if_it_concerns_this_email(
    step: str, answer: str, blame: FailureScope, permanent: bool
) -> None:
    """5xx for the reader or the content ends a notice; a refusal before the reader is named concerns every email."""
    sink = Sink(answers={step: answer})
    async with listening(plain(sink)) as port:
        with pytest.raises(DeliveryError) as refused:
            await _transport(port).send(_an_email())
    assert str(refused.value) == f"127.0.0.1:{port}: {answer}"
    assert (refused.value.blame, refused.value.permanent) == (blame, permanent)


STEPS = [
    ("MAIL", FailureScope.SERVER),
    ("RCPT", FailureScope.UNCLEAR),
    ("DATA", FailureScope.UNCLEAR),
    ("TAKEN", FailureScope.UNCLEAR),
]


@pytest.mark.parametrize(("step", "blame"), STEPS)
async def test_a_lost_connection_leaves_an_email_to_be_sent(step: str, blame: FailureScope) -> None:
    """Until it says yes the server has accepted nothing for good, not even when it has the whole email."""
    sink = Sink(drop_at=step)
    async with listening(plain(sink)) as port:
        with pytest.raises(DeliveryError) as refused:
            await _transport(port).send(_an_email())
    assert (refused.value.blame, refused.value.permanent) == (blame, False)
    assert len(sink.taken) == (step == "TAKEN")


@pytest.mark.parametrize(("step", "blame"), STEPS)
async def test_silence_leaves_an_email_to_be_sent(
    step: str, blame: FailureScope, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Just the same if the server stops answering."""
    monkeypatch.setattr(transport, "_ACCEPTANCE", 1)  # or the last two steps would wait eight times as long
    sink = Sink(hang_at=step)
    async with listening(plain(sink)) as port:
        with pytest.raises(DeliveryError) as refused:
            await _transport(port, timeout=IMPATIENT).send(_an_email())
    assert (refused.value.blame, refused.value.permanent) == (blame, False)
    assert len(sink.taken) == (step == "TAKEN")


async def test_a_server_that_filters_an_email_gets_it_once() -> None:
    """The last answer may take longer than any other: to hang up too early is to send twice what was accepted."""
    sink = Sink(seconds=1.5 * IMPATIENT.total_seconds())
    async with listening(plain(sink)) as port:
        await _transport(port, timeout=IMPATIENT).send(_an_email())
    assert len(sink.taken) == 1


async def test_a_conversation_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if each answer comes in time, all of them together may take only so long."""

    class Slow(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            self.transport = transport
            transport.write(b"220 sink\r\n")

        def data_received(self, data: bytes) -> None:
            if data.startswith((b"EHLO", b"MAIL", b"RCPT")):
                self.transport.write(b"250 sink\r\n")
            else:
                answer = b"354 go on\r\n" if data.startswith(b"DATA") else b"250 taken\r\n"
                asyncio.get_running_loop().call_later(0.3, self.transport.write, answer)

    # Both answers wait 0.3 seconds: together longer than this limit, and each far below the timeout of 30 seconds.
    monkeypatch.setattr(transport, "_LONGEST_HANDING_OVER", 0.4)
    async with listening(Slow) as port:
        with pytest.raises(DeliveryError, match="the conversation took too long") as refused:
            await _transport(port, timeout=timedelta(seconds=30)).send(_an_email())
    assert refused.value.blame is FailureScope.UNCLEAR


@pytest.mark.parametrize("seconds", [1, 30, 600])
def test_no_conversation_takes_longer_than_its_transport_says(seconds: float) -> None:
    """In proportion to the timeout, and nine minutes at most: then the notice of a dead process is free again."""
    longest = _transport(25, timeout=timedelta(seconds=seconds)).longest
    assert longest > timedelta(seconds=min(4 * seconds, 150) + min(10 * seconds, 360))
    assert longest <= min(timedelta(seconds=14 * seconds + 3), LONGEST_SEND)


async def test_a_disconnect_after_acceptance_is_no_failure() -> None:
    """Once the server has accepted the email, a failing QUIT does not matter."""
    sink = Sink(drop_at="QUIT")
    async with listening(plain(sink)) as port:
        await _transport(port).send(_an_email())
    assert len(sink.taken) == 1


async def test_a_server_that_says_nothing_is_given_up_in_time() -> None:
    """The wait for an answer is limited."""
    async with listening(asyncio.Protocol) as port:
        with pytest.raises(DeliveryError, match="no answer in time") as refused:
            await _transport(port, timeout=timedelta(seconds=0.1)).send(_an_email())
    assert refused.value.blame is FailureScope.SERVER


async def test_nobody_listening_is_tried_again() -> None:
    """The error names the server and its port."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        with pytest.raises(DeliveryError, match=f"127.0.0.1:{port}") as refused:
            await _transport(port).send(_an_email())
    assert refused.value.blame is FailureScope.SERVER


async def test_a_folder_holds_each_mail_twice(tmp_path: Path) -> None:
    """NAME.eml is the email, NAME.html its page; sent again, they are replaced; nothing else is left behind."""
    folder = tmp_path / "new" / "mail"
    into_folder = transport_for(MailFolder(folder), TIMEOUT, EHLO_NAME)
    assert isinstance(into_folder, FolderTransport)
    await into_folder.send(_an_email())
    await into_folder.send(_an_email())
    names = sorted(path.name for path in folder.iterdir())
    stem = "lu-ou-k-greenhouse-permission-missing-list-offers-01234567"
    assert names == [f"{stem}.eml", f"{stem}.html"]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert (folder / f"{stem}.html").read_text() == "<p>“äöü”</p>\n"
    kept = message_from_bytes((folder / f"{stem}.eml").read_bytes(), policy=policy.default)
    assert kept["Message-ID"] == "<0123456789abcdef@vendor.example>"


async def test_a_folder_that_cannot_be_written_is_tried_again(tmp_path: Path) -> None:
    """A full disk or a file in the way is reported, and may go away."""
    (tmp_path / "mail").write_text("in the way")
    with pytest.raises(DeliveryError, match=r"mailbox .*mail: ") as refused:
        await FolderTransport(tmp_path / "mail").send(_an_email())
    assert refused.value.blame is FailureScope.SERVER


def test_a_servers_password_is_not_shown() -> None:
    """A transport and its server can be printed safely."""
    server = MailServer("mail.vendor.example", 587, Encryption.STARTTLS, "monitor", PASSWORD)
    assert PASSWORD not in f"{server!r} {transport_for(server, TIMEOUT, EHLO_NAME)!r}"
