"""Mail through a real SMTP server on loopback, and into a folder."""

import asyncio
import socket
import ssl
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP as Server
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session

from monitor.addresses import Encryption, MailFolder, MailServer
from monitor.errors import DeliveryError
from monitor.notices.notice import Outgoing, as_message
from monitor.notices.transport import Mailbox, SmtpTransport, transport_for
from tests.notices import NOW

CERTIFICATES = Path(__file__).parents[1] / "fixtures" / "notices"
AUTHORITY = CERTIFICATES / "localhost.pem"  # signed by itself, for localhost and 127.0.0.1
TIMEOUT = timedelta(seconds=5)
PASSWORD = "s3cret-p%ss@word:/"


@dataclass
class Sink:
    """A server's memory: what it took, who asked, and what it answers at each step instead of yes."""

    answers: dict[str, str] = field(default_factory=dict)
    taken: list[bytes] = field(default_factory=list)
    envelopes: list[tuple[str | None, list[str]]] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    drop_at: str = ""

    async def handle_MAIL(
        self, server: Server, session: Session, envelope: Envelope, address: str, options: Any
    ) -> str:
        envelope.mail_from = address
        return self._answer("MAIL", server)

    async def handle_RCPT(
        self, server: Server, session: Session, envelope: Envelope, address: str, options: Any
    ) -> str:
        answer = self._answer("RCPT", server)
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: Server, session: Session, envelope: Envelope) -> str:
        answer = self._answer("DATA", server)
        if answer.startswith("250"):
            assert isinstance(envelope.original_content, bytes)
            self.taken.append(envelope.original_content)
            self.envelopes.append((envelope.mail_from, envelope.rcpt_tos))
            self.encrypted.append(session.ssl is not None)
        return answer

    async def handle_QUIT(self, server: Server, session: Session, envelope: Envelope) -> str:
        return self._answer("QUIT", server, "221 Bye")

    def authenticate(
        self, server: Server, session: Session, envelope: Envelope, mechanism: str, given: Any
    ) -> AuthResult:
        assert isinstance(given, LoginPassword)
        return AuthResult(success=given == LoginPassword(b"monitor", PASSWORD.encode()), handled=False)

    def _answer(self, step: str, server: Server, yes: str = "250 OK") -> str:
        if self.drop_at == step:
            server.transport.abort()
        return self.answers.get(step, yes)

    def message(self) -> EmailMessage:
        (raw,) = self.taken
        message = message_from_bytes(raw, policy=policy.default)
        assert isinstance(message, EmailMessage)
        return message


def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(AUTHORITY, CERTIFICATES / "localhost.key")
    return context


@asynccontextmanager
async def _serving(
    protocol: Callable[[], asyncio.BaseProtocol], tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def _plain(sink: Sink) -> Callable[[], Server]:
    return lambda: Server(sink, hostname="sink", enable_SMTPUTF8=False)


def _starttls(sink: Sink) -> Callable[[], Server]:
    return lambda: Server(
        sink,
        hostname="sink",
        tls_context=_tls(),
        require_starttls=True,
        auth_required=True,
        authenticator=sink.authenticate,
    )


def _transport(port: int, encryption: Encryption = Encryption.NONE, **facts: Any) -> SmtpTransport:
    ca_bundle = facts.pop("ca_bundle", AUTHORITY)
    timeout = facts.pop("timeout", TIMEOUT)
    return SmtpTransport(MailServer(facts.pop("host", "127.0.0.1"), port, encryption, **facts), timeout, ca_bundle)


def _mail(recipient: str = "dana@vendor.example") -> EmailMessage:
    notice = Outgoing(
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
    async with _serving(_plain(sink)) as port:
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
    async with _serving(_starttls(sink)) as port:
        await _transport(port, Encryption.STARTTLS, username="monitor", password=PASSWORD).send(_mail())
    assert sink.encrypted == [True]


async def test_tls_from_the_first_byte() -> None:
    """smtps:// speaks TLS at once."""
    sink = Sink()
    async with _serving(_plain(sink), tls=_tls()) as port:
        await _transport(port, Encryption.TLS, host="localhost").send(_mail())
    assert len(sink.taken) == 1


@pytest.mark.parametrize("encryption", [Encryption.STARTTLS, Encryption.TLS])
async def test_a_certificate_of_an_unknown_authority_is_refused(encryption: Encryption) -> None:
    """Without its authority among those trusted, nothing is sent; it may be mended, so it is tried again."""
    sink = Sink()
    protocol, tls = (_starttls(sink), None) if encryption is Encryption.STARTTLS else (_plain(sink), _tls())
    async with _serving(protocol, tls) as port:
        with pytest.raises(DeliveryError, match=r"(?i)certificate") as refused:
            await _transport(port, encryption, ca_bundle=None).send(_mail())
    assert (sink.taken, refused.value.permanent) == ([], False)


async def test_a_server_without_starttls_gets_nothing() -> None:
    """Encryption is never given up in silence."""
    sink = Sink()
    async with _serving(_plain(sink)) as port:
        with pytest.raises(DeliveryError, match=r"(?i)starttls") as refused:
            await _transport(port, Encryption.STARTTLS, username="monitor", password=PASSWORD).send(_mail())
    assert (sink.taken, refused.value.permanent) == ([], False)


async def test_a_wrong_password_is_ours_to_mend() -> None:
    """A refused login says nothing of the mail: it is tried again, and the password is in no error's text."""
    sink = Sink()
    async with _serving(_starttls(sink)) as port:
        with pytest.raises(DeliveryError, match="535") as refused:
            await _transport(port, Encryption.STARTTLS, username="monitor", password=f"{PASSWORD}!").send(_mail())
    assert not refused.value.permanent
    assert PASSWORD not in f"{refused.value}{refused.value.__cause__!r}"


@pytest.mark.parametrize(
    ("step", "answer", "permanent"),
    [
        ("RCPT", "550 5.1.1 No such user", True),
        ("RCPT", "450 4.2.1 Greylisted", False),
        ("DATA", "554 5.6.0 Content refused", True),
        ("DATA", "452 4.3.1 Disk full", False),
        ("MAIL", "550 5.7.1 Sender not allowed", False),  # a setting of ours, not this mail
        ("MAIL", "421 4.3.2 Going down", False),
    ],
)
async def test_refusals_are_for_good_where_they_are_about_this_mail(step: str, answer: str, permanent: bool) -> None:
    """5xx for the reader or the content ends a notice; anything else is tried again. What the server said is kept."""
    sink = Sink(answers={step: answer})
    async with _serving(_plain(sink)) as port:
        with pytest.raises(DeliveryError) as refused:
            await _transport(port).send(_mail())
    assert str(refused.value) == f"127.0.0.1:{port}: {answer}"
    assert refused.value.permanent is permanent


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
async def test_a_dropped_connection_is_tried_again(step: str) -> None:
    """A server that hangs up before it took the mail leaves it to be sent."""
    sink = Sink(drop_at=step)
    async with _serving(_plain(sink)) as port:
        with pytest.raises(DeliveryError) as refused:
            await _transport(port).send(_mail())
    assert not refused.value.permanent


async def test_a_hang_up_after_the_mail_was_taken_is_no_failure() -> None:
    """Once the server has it, how the farewell ends does not matter."""
    sink = Sink(drop_at="QUIT")
    async with _serving(_plain(sink)) as port:
        await _transport(port).send(_mail())
    assert len(sink.taken) == 1


async def test_a_server_that_says_nothing_is_given_up_in_time() -> None:
    """The wait for an answer has an end."""
    async with _serving(asyncio.Protocol) as port:
        with pytest.raises(DeliveryError, match="no answer in time") as refused:
            await _transport(port, timeout=timedelta(seconds=0.1)).send(_mail())
    assert not refused.value.permanent


async def test_nobody_listening_is_tried_again() -> None:
    """A server that is down is named with its port."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        with pytest.raises(DeliveryError, match=f"127.0.0.1:{port}") as refused:
            await _transport(port).send(_mail())
    assert not refused.value.permanent


async def test_a_folder_holds_each_mail_twice(tmp_path: Path) -> None:
    """NAME.eml is the mail, NAME.html its page; sent again, it replaces itself; nothing else is left behind."""
    folder = tmp_path / "new" / "mail"
    transport = transport_for(MailFolder(folder), TIMEOUT)
    assert isinstance(transport, Mailbox)
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
        await Mailbox(tmp_path / "mail").send(_mail())
    assert not refused.value.permanent


def test_a_servers_password_is_not_shown() -> None:
    """What a transport is made of can be printed."""
    server = MailServer("mail.vendor.example", 587, Encryption.STARTTLS, "monitor", PASSWORD)
    assert PASSWORD not in f"{server!r} {transport_for(server, TIMEOUT)!r}"
