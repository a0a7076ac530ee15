"""Mail through a real SMTP server on loopback, and into a folder."""

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
from monitor.notices.delivery.transport import LONGEST, FolderTransport, SmtpTransport, transport_for
from monitor.notices.notice import ClaimedNotice, as_message
from tests.mail import AUTHORITY, PASSWORD, Sink, listening, plain, server_tls, starttls
from tests.notices import NOW

TIMEOUT = timedelta(seconds=5)


def _transport(port: int, encryption: Encryption = Encryption.NONE, **facts: Any) -> SmtpTransport:
    ca_bundle = facts.pop("ca_bundle", AUTHORITY)
    timeout = facts.pop("timeout", TIMEOUT)
    return SmtpTransport(MailServer(facts.pop("host", "127.0.0.1"), port, encryption, **facts), timeout, ca_bundle)


def _mail(recipient: str = "dana@vendor.example") -> EmailMessage:
    notice = ClaimedNotice(
        id=1,
        recipient=recipient,
        subject="Žluťoučký: Greenhouse permission missing: GET: List offers",
        text=".\nHello Dana,\n“äöü”\n" + "x" * 2000 + "\n",
        html="<p>“äöü”</p>\n",
        message_id="<0123456789abcdef@vendor.example>",
        attempts=1,
    )
    return as_message(notice, "Harvest Monitor <monitor@vendor.example>", NOW)


async def test_a_mail_arrives_as_it_was_written() -> None:
    """The envelope names sender and reader; headers, text and page come out whole, long lines and lone dots too."""
    sink, mail = Sink(), _mail()
    async with listening(plain(sink)) as port:
        await _transport(port).send(mail)
    assert sink.envelopes == [("monitor@vendor.example", ["dana@vendor.example"])]
    assert max(len(line) for line in sink.taken[0].split(b"\r\n")) < 998
    for header in ("From", "To", "Subject", "Message-ID", "Auto-Submitted"):
        assert sink.message()[header] == mail[header]
    for kind in ("plain", "html"):
        ours, theirs = mail.get_body((kind,)), sink.message().get_body((kind,))
        assert ours is not None and theirs is not None  # noqa: PT018
        assert theirs.get_content().split() == ours.get_content().split()


async def test_starttls_and_a_password() -> None:
    """The connection is encrypted before the password and the mail travel."""
    sink = Sink()
    async with listening(starttls(sink)) as port:
        await _transport(port, Encryption.STARTTLS, username="monitor", password=PASSWORD).send(_mail())
    assert sink.encrypted == [True]


async def test_tls_from_the_first_byte() -> None:
    """smtps:// speaks TLS at once."""
    sink = Sink()
    async with listening(plain(sink), tls=server_tls()) as port:
        await _transport(port, Encryption.TLS, host="localhost").send(_mail())
    assert len(sink.taken) == 1


@pytest.mark.parametrize("encryption", [Encryption.STARTTLS, Encryption.TLS])
async def test_a_certificate_of_an_unknown_authority_is_refused(encryption: Encryption) -> None:
    """Without its authority among those trusted, nothing is sent; it may be mended, so it is tried again."""
    sink = Sink()
    protocol, tls = (starttls(sink), None) if encryption is Encryption.STARTTLS else (plain(sink), server_tls())
    async with listening(protocol, tls) as port:
        with pytest.raises(DeliveryError, match=r"(?i)certificate") as refused:
            await _transport(port, encryption, ca_bundle=None).send(_mail())
    assert (sink.taken, refused.value.blame) == ([], FailureScope.SERVER)


async def test_a_server_without_starttls_gets_nothing() -> None:
    """Encryption is never given up in silence."""
    sink = Sink()
    async with listening(plain(sink)) as port:
        with pytest.raises(DeliveryError, match=r"(?i)starttls") as refused:
            await _transport(port, Encryption.STARTTLS, username="monitor", password=PASSWORD).send(_mail())
    assert (sink.taken, refused.value.blame) == ([], FailureScope.SERVER)


async def test_a_wrong_password_is_ours_to_mend() -> None:
    """A refused login says nothing of the mail: it is tried again, and the password is in no error's text."""
    sink = Sink()
    async with listening(starttls(sink)) as port:
        with pytest.raises(DeliveryError, match="535") as refused:
            await _transport(port, Encryption.STARTTLS, username="monitor", password=f"{PASSWORD}!").send(_mail())
    assert refused.value.blame is FailureScope.SERVER
    assert PASSWORD not in f"{refused.value}{refused.value.__cause__!r}"


@pytest.mark.parametrize(
    ("step", "answer", "blame", "permanent"),
    [
        ("RCPT", "550 5.1.1 No such user", FailureScope.ADDRESS, True),
        ("RCPT", "450 4.2.1 Greylisted", FailureScope.ADDRESS, False),
        ("DATA", "554 5.6.0 Content refused", FailureScope.MAIL, True),
        ("DATA", "452 4.3.1 Disk full", FailureScope.MAIL, False),
        ("MAIL", "550 5.7.1 Sender not allowed", FailureScope.SERVER, False),  # a setting of ours, not this mail
        ("MAIL", "451 4.3.0 Try later", FailureScope.SERVER, False),
        ("MAIL", "421 4.3.2 Going down", FailureScope.SERVER, False),
        ("RCPT", "421 4.3.2 Going down", FailureScope.UNCLEAR, False),  # some say it to everybody, some to one mail
        ("DATA", "421 4.7.0 Not now", FailureScope.UNCLEAR, False),
    ],
)
async def test_a_refusal_is_for_good_where_it_is_of_this_mail(
    step: str, answer: str, blame: FailureScope, permanent: bool
) -> None:
    """5xx for the reader or the content ends a notice; what comes before the reader is named concerns every mail."""
    sink = Sink(answers={step: answer})
    async with listening(plain(sink)) as port:
        with pytest.raises(DeliveryError) as refused:
            await _transport(port).send(_mail())
    assert str(refused.value) == f"127.0.0.1:{port}: {answer}"
    assert (refused.value.blame, refused.value.permanent) == (blame, permanent)


@pytest.mark.parametrize("way", ["drop_at", "hang_at"])
@pytest.mark.parametrize(
    ("step", "blame"),
    [
        ("MAIL", FailureScope.SERVER),
        ("RCPT", FailureScope.UNCLEAR),
        ("DATA", FailureScope.UNCLEAR),
        ("TAKEN", FailureScope.UNCLEAR),
    ],
)
async def test_silence_and_a_lost_connection_leave_a_mail_to_be_sent(way: str, step: str, blame: FailureScope) -> None:
    """Before its yes the server has taken nothing for good, not even where it had the whole mail."""
    sink = Sink(**{way: step})  # type: ignore[arg-type]
    async with listening(plain(sink)) as port:
        with pytest.raises(DeliveryError) as refused:
            await _transport(port, timeout=timedelta(seconds=0.2)).send(_mail())
    assert (refused.value.blame, refused.value.permanent) == (blame, False)
    assert len(sink.taken) == (step == "TAKEN")


async def test_a_server_that_thinks_a_mail_over_gets_it_once() -> None:
    """The last answer may take longer than any other: who hung up too early would send again what was taken."""
    sink = Sink(seconds=1)
    async with listening(plain(sink)) as port:
        await _transport(port, timeout=timedelta(seconds=0.5)).send(_mail())
    assert len(sink.taken) == 1


async def test_a_conversation_has_an_end() -> None:
    """Answers that come each just in time hold a mail up for so long, and no longer."""

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
                asyncio.get_running_loop().call_later(1.4, self.transport.write, answer)

    async with listening(Slow) as port:
        with pytest.raises(DeliveryError, match="no end in time") as refused:
            await _transport(port, timeout=timedelta(seconds=0.2)).send(_mail())
    assert refused.value.blame is FailureScope.UNCLEAR


@pytest.mark.parametrize("seconds", [1, 30, 600])
def test_no_conversation_takes_longer_than_its_transport_says(seconds: float) -> None:
    """In proportion to the time-out, and for nine minutes at the most: a dead sender's notice is free again then."""
    longest = _transport(25, timeout=timedelta(seconds=seconds)).longest
    assert longest > timedelta(seconds=min(4 * seconds, 150) + min(10 * seconds, 360))
    assert longest <= min(timedelta(seconds=14 * seconds + 3), LONGEST)


async def test_a_hang_up_after_the_mail_was_taken_is_no_failure() -> None:
    """Once the server has it, how the farewell ends does not matter."""
    sink = Sink(drop_at="QUIT")
    async with listening(plain(sink)) as port:
        await _transport(port).send(_mail())
    assert len(sink.taken) == 1


async def test_a_server_that_says_nothing_is_given_up_in_time() -> None:
    """The wait for an answer has an end."""
    async with listening(asyncio.Protocol) as port:
        with pytest.raises(DeliveryError, match="no answer in time") as refused:
            await _transport(port, timeout=timedelta(seconds=0.1)).send(_mail())
    assert refused.value.blame is FailureScope.SERVER


async def test_nobody_listening_is_tried_again() -> None:
    """A server that is down is named with its port."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        with pytest.raises(DeliveryError, match=f"127.0.0.1:{port}") as refused:
            await _transport(port).send(_mail())
    assert refused.value.blame is FailureScope.SERVER


async def test_a_folder_holds_each_mail_twice(tmp_path: Path) -> None:
    """NAME.eml is the mail, NAME.html its page; sent again, it replaces itself; nothing else is left behind."""
    folder = tmp_path / "new" / "mail"
    transport = transport_for(MailFolder(folder), TIMEOUT)
    assert isinstance(transport, FolderTransport)
    await transport.send(_mail())
    await transport.send(_mail())
    names = sorted(path.name for path in folder.iterdir())
    stem = "lu-ou-k-greenhouse-permission-missing-get-list-offers-01234567"
    assert names == [f"{stem}.eml", f"{stem}.html"]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert (folder / f"{stem}.html").read_text() == "<p>“äöü”</p>\n"
    kept = message_from_bytes((folder / f"{stem}.eml").read_bytes(), policy=policy.default)
    assert kept["Message-ID"] == "<0123456789abcdef@vendor.example>"


async def test_a_folder_that_can_not_be_written_is_tried_again(tmp_path: Path) -> None:
    """A full disk or a file in the way is told, and may pass."""
    (tmp_path / "mail").write_text("in the way")
    with pytest.raises(DeliveryError, match=r"mailbox .*mail: ") as refused:
        await FolderTransport(tmp_path / "mail").send(_mail())
    assert refused.value.blame is FailureScope.SERVER


def test_a_servers_password_is_not_shown() -> None:
    """What a transport is made of can be printed."""
    server = MailServer("mail.vendor.example", 587, Encryption.STARTTLS, "monitor", PASSWORD)
    assert PASSWORD not in f"{server!r} {transport_for(server, TIMEOUT)!r}"
