"""A real Postfix for tests, with a real postgrey: one server with a port for each set of rules. It needs root.

Nothing of the system's own Postfix is used but its programs and its users: configuration, queue, data and log are in a
temporary folder.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from pwd import getpwnam

from tests.mail import AUTHORITY, CERTIFICATES
from tests.real_part import PartUnavailable

DAEMONS = Path("/usr/lib/postfix/sbin")
START_SECONDS = 60
GREYLISTED_SECONDS = 1
DOMAIN = "vendor.example"
READERS = ("csm-acme", "csm-globex", "dana", "lee", "ops")
"""Those at DOMAIN who have a mailbox; nobody else has one."""

# What each port refuses. As smtpd_delay_reject is on by default, all of them say so at RCPT, never before.
_RULES = {
    "open": {},
    "helo": {"smtpd_helo_restrictions": "reject_invalid_helo_hostname, reject_non_fqdn_helo_hostname"},
    "client": {"smtpd_client_restrictions": "check_client_access static:REJECT"},
    "sender": {"smtpd_sender_restrictions": "check_sender_access static:REJECT"},
    "unknown_sender": {"smtpd_sender_restrictions": "check_sender_access static:{450 4.1.8 Domain not found}"},
    "block_list": {
        "smtpd_client_restrictions": "check_client_access "
        "static:{554 5.7.1 Service unavailable; Client host blocked using zen.spamhaus.example}"
    },
    "encrypted": {"smtpd_tls_security_level": "encrypt"},
    "too_many": {"smtpd_client_recipient_rate_limit": "1", "smtpd_client_event_limit_exceptions": ""},
    "policy": {"smtpd_recipient_restrictions": "check_recipient_access static:REJECT"},
    "greylisted": {"smtpd_recipient_restrictions": "check_policy_service inet:127.0.0.1:{postgrey}"},
}
_MAIN = f"""
compatibility_level = 3.6
queue_directory = {{home}}/queue
data_directory = {{home}}/data
daemon_directory = {DAEMONS}
maillog_file = {{home}}/log
maillog_file_prefixes = {{home}}
inet_interfaces = loopback-only
inet_protocols = ipv4
myhostname = mx.{DOMAIN}
mydestination =
mynetworks = 192.0.2.0/24
alias_maps =
local_recipient_maps =
smtpd_peername_lookup = no
smtpd_relay_restrictions = reject_unauth_destination
smtpd_error_sleep_time = 0
smtpd_tls_cert_file = {AUTHORITY}
smtpd_tls_key_file = {CERTIFICATES}/localhost.key
virtual_mailbox_domains = {DOMAIN}
virtual_mailbox_base = {{home}}/mailboxes
virtual_mailbox_maps = texthash:{{home}}/conf/mailboxes
virtual_uid_maps = static:{{uid}}
virtual_gid_maps = static:{{gid}}
virtual_minimum_uid = 1
"""
_SERVICES = """
postlog unix-dgram n - n - 1 postlogd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
anvil unix - - n - 1 anvil
tlsmgr unix - - n 1000? 1 tlsmgr
proxymap unix - - n - - proxymap
virtual unix - n n - - virtual
"""


class PostfixUnavailable(PartUnavailable):
    """No Postfix can be started on this machine; the message says why."""


@dataclass(frozen=True)
class Postfix:
    """A running server; `ports` are by name of their rules."""

    home: Path
    ports: dict[str, int]

    def url(self, rules: str) -> str:
        """The address of a mail server as a setting."""
        return f"smtp://127.0.0.1:{self.ports[rules]}?tls=none"

    def mails(self, reader: str) -> list[EmailMessage]:
        """What was delivered to this reader's mailbox, the oldest first."""
        files = sorted((self.home / "mailboxes" / reader / "new").glob("*"), key=lambda path: path.stat().st_mtime)
        return [message_from_bytes(path.read_bytes(), policy=policy.default) for path in files]  # type: ignore[misc]

    def empty_mailboxes(self) -> None:
        for path in (self.home / "mailboxes").glob("*/new/*"):
            path.unlink()


@contextmanager
def running_postfix() -> Iterator[Postfix]:
    """A server that is deleted with all its mail at the end."""
    if os.geteuid() != 0:
        raise PostfixUnavailable("Postfix starts only as root")
    if not (DAEMONS / "master").exists() or shutil.which("postgrey") is None:
        raise PostfixUnavailable("Postfix or postgrey is not installed: apt-get install postfix postgrey (Debian)")
    with tempfile.TemporaryDirectory(prefix="harvest-monitor-postfix-") as folder, ExitStack() as stack:
        home = Path(folder)
        home.chmod(0o755)
        postgrey, *ports = _free_ports(1 + len(_RULES))
        postfix = Postfix(home, dict(zip(_RULES, ports, strict=True)))
        _write_configuration(postfix, postgrey)
        _make_folders(home)
        listening = {**postfix.ports, "postgrey": postgrey}
        greylist = ("--inet", f"127.0.0.1:{postgrey}", "--dbdir", home / "postgrey", "--delay", GREYLISTED_SECONDS)
        stack.enter_context(_running(home, "postgrey", *greylist, "--auto-whitelist-clients", 0))
        stack.enter_context(_running(home, DAEMONS / "master", "-c", home / "conf", "-d"))
        _wait_until_all_listen(home, listening)
        yield postfix


def _write_configuration(postfix: Postfix, postgrey: int) -> None:
    conf, user = postfix.home / "conf", getpwnam("postfix")
    conf.mkdir()
    (conf / "main.cf").write_text(_MAIN.format(home=postfix.home, uid=user.pw_uid, gid=user.pw_gid))
    (conf / "mailboxes").write_text("".join(f"{name}@{DOMAIN} {name}/\n" for name in READERS))
    with (conf / "master.cf").open("w") as services:
        services.write(_SERVICES)
        for name, port in postfix.ports.items():
            rules = {key: value.replace("{postgrey}", str(postgrey)) for key, value in _RULES[name].items()}
            options = "".join(f"\n  -o {{ {key} = {value} }}" for key, value in rules.items())
            services.write(f"127.0.0.1:{port} inet n - n - - smtpd{options}\n")


def _make_folders(home: Path) -> None:
    """With the owners and modes that Postfix's own installation would give them."""
    (home / "queue").mkdir()
    (home / "queue" / "pid").mkdir()
    for name in ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "trace"):
        (home / "queue" / name).mkdir(mode=0o700)
        shutil.chown(home / "queue" / name, "postfix")
    for name, mode in (("maildrop", 0o730), ("public", 0o710)):
        (home / "queue" / name).mkdir()
        shutil.chown(home / "queue" / name, "postfix", "postdrop")
        (home / "queue" / name).chmod(mode)
    for name, owner in (("data", "postfix"), ("mailboxes", "postfix"), ("postgrey", "postgrey")):
        (home / name).mkdir(mode=0o700)
        shutil.chown(home / name, owner)


@contextmanager
def _running(home: Path, *command: object) -> Iterator[None]:
    # In a session of its own: a Postfix that is stopped signals its whole process group.
    with (home / "output").open("ab") as output:
        process = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd="/",
            start_new_session=True,
        )  # fmt: skip
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=START_SECONDS)


def _wait_until_all_listen(home: Path, ports: dict[str, int]) -> None:
    end = time.monotonic() + START_SECONDS
    for name, port in ports.items():
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError as error:
                if time.monotonic() > end:
                    said = (home / "output").read_text(errors="replace")
                    raise PostfixUnavailable(f"nobody listens at the port for {name}: {said}") from error
                time.sleep(0.02)


def _free_ports(number: int) -> list[int]:
    """All different, as each stays taken until all are found."""
    with ExitStack() as stack:
        probes = [stack.enter_context(closing(socket.socket())) for _ in range(number)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
