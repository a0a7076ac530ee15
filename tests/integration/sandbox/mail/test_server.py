"""The sandbox's mail server over SMTP: what it accepts, and how it fails."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import aiosmtplib
import pytest

from monitor.errors import ConfigurationError
from monitor.sandbox.control.fault_presets import PresetRequest, activate, presets
from monitor.sandbox.faults.mail import MailFault
from monitor.sandbox.mail.mailbox import Mailbox
from monitor.sandbox.mail.server import delivering
from monitor.sandbox.sandbox import Sandbox
from tests.paths import FIXTURES
from tests.sandbox_session import Clock

CERTIFICATES = FIXTURES / "notices"


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(clock=Clock())


@pytest.fixture
async def port(sandbox: Sandbox) -> AsyncIterator[int]:
    async with delivering(sandbox.mailbox, "127.0.0.1", 0) as address:
        yield int(address.rpartition(":")[2])


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Certificate and key in one file."""
    both = tmp_path / "sandbox.pem"
    both.write_bytes(b"".join((CERTIFICATES / name).read_bytes() for name in ("localhost.pem", "localhost.key")))
    return both


def a_mail(recipient: str = "dana@vendor.example") -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"] = "monitor@vendor.example", recipient
    mail["Subject"] = "“Offers” cannot be read"
    mail.set_content(".\nHello Dana\n")
    mail.add_alternative("<p>Hello Dana</p>\n", subtype="html")
    return mail


async def delivered(port: int, recipient: str = "dana@vendor.example", *, timeout: float = 10, **options: Any) -> str:
    """`yes`, or what happened instead: a code, `silence` for longer than the timeout, or the name of an error."""
    client = aiosmtplib.SMTP(hostname="127.0.0.1", port=port, timeout=timeout, **{"start_tls": False, **options})
    mail = a_mail(recipient)
    try:
        await client.connect()
        await client.sendmail("monitor@vendor.example", recipient, mail.as_bytes())
        with suppress(aiosmtplib.SMTPException, OSError):
            await client.quit()
    except aiosmtplib.SMTPRecipientsRefused as refused:
        return str(refused.recipients[0].code)
    except aiosmtplib.SMTPResponseException as refused:
        return str(refused.code)
    except aiosmtplib.SMTPTimeoutError:
        return "silence"
    except (aiosmtplib.SMTPException, OSError) as problem:
        return type(problem).__name__
    finally:
        client.close()
    return "yes"


async def test_a_mail_is_accepted_and_shown(sandbox: Sandbox, port: int) -> None:
    """Sender, recipients, subject, both parts and the time are kept, until a reset."""
    assert await delivered(port) == "yes"
    (mail,) = sandbox.mailbox.mails.to()
    assert (mail.number, mail.sender, mail.recipients) == (1, "monitor@vendor.example", ("dana@vendor.example",))
    assert (mail.message["Subject"], mail.at, mail.encrypted) == ("“Offers” cannot be read", 1_700_000_000.0, False)
    assert (mail.part("plain"), mail.part("html")) == (".\nHello Dana\n", "<p>Hello Dana</p>\n")
    sandbox.reset()
    assert (sandbox.mailbox.mails.to(), sandbox.mailbox.mails.count) == ([], 0)


async def test_mails_are_found_by_recipient_and_number(sandbox: Sandbox, port: int) -> None:
    """Those to one address, or those after a number, oldest first."""
    for reader in ("dana@vendor.example", "lee@vendor.example", "dana@vendor.example"):
        await delivered(port, reader)
    mails = sandbox.mailbox.mails
    assert [mail.number for mail in mails.to("dana@vendor.example")] == [1, 3]
    assert [mail.number for mail in mails.to(after=1)] == [2, 3]
    assert [mails.mail(number) is not None for number in (0, 3, 4)] == [False, True, False]


PRESETS = {
    # what happens at the first try, what happens at the second, and how many mails were accepted then
    "mail-silent": ("silence", "silence", 0),
    "mail-slow": ("silence", "silence", 0),
    "mail-closing": ("421", "421", 0),
    "mail-greylisting": ("450", "yes", 1),
    "mail-rejecting": ("550", "550", 0),
    "mail-lost-before": ("SMTPServerDisconnected", "SMTPServerDisconnected", 0),
    "mail-lost-after": ("SMTPServerDisconnected", "SMTPServerDisconnected", 2),
    "mail-login-refused": ("535", "535", 0),
    "mail-refused": ("SMTPConnectError", "SMTPConnectError", 0),
    "mail-no-starttls": ("SMTPException", "SMTPException", 0),
}


def test_every_preset_of_the_mail_server_is_tried() -> None:
    """The next test omits none."""
    assert PRESETS.keys() == {each.name for each in presets().values() if each.is_for_mail}


async def until_it_listens(port: int, wanted: bool) -> None:
    async with asyncio.timeout(30):
        while wanted != await listens(port):
            await asyncio.sleep(0.02)


async def listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionError:
        return False
    writer.close()
    return True


@pytest.mark.parametrize("name", PRESETS)
async def test_what_a_delivery_meets(sandbox: Sandbox, name: str, certificate: Path) -> None:
    """Each preset as a client sees it, with a login over TLS; once it is cleared, mails are accepted again."""
    first, second, taken = PRESETS[name]
    secured = {
        "start_tls": True,
        "cert_bundle": str(CERTIFICATES / "localhost.pem"),
        "username": "monitor",
        "password": "any",
    }
    async with delivering(sandbox.mailbox, "127.0.0.1", 0, certificate) as address:
        port = int(address.rpartition(":")[2])
        activate(sandbox, PresetRequest(name=name))
        if name == "mail-refused":
            await until_it_listens(port, False)
        timeout = 0.1 if first == "silence" else 10
        assert [await delivered(port, timeout=timeout, **secured) for _ in range(2)] == [first, second]
        assert sandbox.mailbox.mails.count == taken
        activate(sandbox, PresetRequest(name="clear"))
        await until_it_listens(port, True)
        assert await delivered(port, **secured) == "yes"
        assert sandbox.mailbox.mails.to()[-1].encrypted


async def test_a_preset_for_one_recipient_spares_the_others(sandbox: Sandbox, port: int) -> None:
    """Greylisting counts the tries of each recipient separately; only the rejected recipient is rejected."""
    activate(sandbox, PresetRequest(name="mail-rejecting", recipient="gone@vendor.example"))
    activate(sandbox, PresetRequest(name="mail-greylisting"))
    met = [await delivered(port, f"{who}@vendor.example") for who in ("dana", "lee", "gone", "dana", "lee", "gone")]
    assert met == ["450", "450", "550", "yes", "yes", "550"]


@pytest.mark.parametrize(
    ("fault", "met", "taken"),
    [
        ({"kind": "answer", "step": "connect", "text": "554 5.3.2 Not today"}, "554", 0),
        ({"kind": "hang_up", "step": "connect"}, "SMTPConnectError", 0),
        ({"kind": "silent", "step": "connect"}, "silence", 0),
        ({"kind": "answer", "step": "data", "text": "554 5.7.1 Spam"}, "554", 0),
        ({"kind": "silent", "step": "taken"}, "silence", 1),
        ({"kind": "slow", "step": "rcpt", "seconds": 0.05}, "yes", 1),
        ({"kind": "answer", "step": "quit", "text": "421 4.3.2 Too late"}, "yes", 1),
    ],
)
async def test_a_fault_is_met_at_its_step(
    sandbox: Sandbox, port: int, fault: dict[str, Any], met: str, taken: int
) -> None:
    """From the greeting to QUIT; afterwards mails are accepted."""
    sandbox.mailbox.faults.add(MailFault.model_validate(fault | {"times": 1}))
    assert await delivered(port, timeout=2 if met == "silence" else 10) == met
    assert sandbox.mailbox.mails.count == taken
    assert await delivered(port) == "yes"


async def test_it_says_what_it_is_and_leaves_no_trace(
    sandbox: Sandbox, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    """The greeting says that nothing is passed on; whatever a client does, there is no warning in the log."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    assert await reader.readline() == b"220 harvest-monitor-sandbox takes every mail and passes none on\r\n"
    writer.close()
    for client in ("silent", "slow"):
        activate(sandbox, PresetRequest(name=f"mail-{client}"))
        await delivered(port, timeout=0.1)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_a_port_that_is_taken_and_a_wrong_certificate_are_named(sandbox: Sandbox, port: int) -> None:
    """Both are errors with a message, not a traceback."""
    with pytest.raises(ConfigurationError, match=f"cannot accept mails on 127.0.0.1 port {port}"):
        async with delivering(Mailbox(Clock(), iter(())), "127.0.0.1", port):
            pass
    with pytest.raises(ConfigurationError, match=r"pem is not a PEM file with a certificate and its key"):
        async with delivering(Mailbox(Clock(), iter(())), "127.0.0.1", 0, CERTIFICATES / "localhost.pem"):
            pass


async def test_the_address_is_known_while_mail_is_accepted(sandbox: Sandbox, port: int) -> None:
    """The mailbox has the mail server's address while it runs."""
    assert sandbox.mailbox.address == f"127.0.0.1:{port}"
