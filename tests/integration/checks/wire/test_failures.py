"""Why a connection fails, as real servers, proxies and sockets make it fail: a code, and who is to be looked at."""

import asyncio
import resource
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from checks.answer import Answer, AnswerKind
from checks.catalogue.endpoints import catalogue
from checks.catalogue.entry import WriteProbes
from checks.origin import origin
from checks.v1.gate import Gate
from checks.wire.connection import ConnectionSettings
from checks.wire.key_client import KeyClient
from tests.certificates import Authority
from tests.daemons import free_ports, program, running_daemon
from tests.raw_server import always, raw_server

SHORT = {"connect_timeout": 1.0, "read_timeout": 1.0, "request_timeout": 1.2}
"""For what is to run out of time; on a busy machine anything else may take longer."""
LIST = catalogue().anonymous
NOWHERE = "name-of-nobody.invalid"  # RFC 6761: no such name exists


@dataclass(frozen=True)
class Servers:
    """Ports of TLS servers, by what they present, of proxies, and of servers that hold what they are given."""

    folder: Path
    authority: Path
    good: int
    foreign: int
    expired: int
    misnamed: int
    proxy: int
    proxy_with_login: int
    holds_handshake: int
    holds_request: int


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    ports = free_ports(8)
    # Not pytest's folder, which nobody but its owner may enter: squid started by root works as another user.
    with tempfile.TemporaryDirectory(prefix="harvest-monitor-wire-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        ours, theirs = Authority.named("Our Authority"), Authority.named("Corp Proxy Authority")
        made = Servers(folder, ours.write(folder / "ours.pem"), *ports)
        certificates = {
            made.good: ours.issue(folder / "good.pem"),
            made.foreign: theirs.issue(folder / "foreign.pem"),
            made.expired: ours.issue(folder / "expired.pem", ends_in=timedelta(days=-1)),
            made.misnamed: ours.issue(folder / "misnamed.pem", "captive.portal.example"),
        }
        with _nginx(folder, certificates), _squid(made), _haproxy(made):
            yield made


def _nginx(folder: Path, certificates: dict[int, Path]) -> AbstractContextManager[None]:
    hosts = "\n".join(
        f"server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {pem}; ssl_certificate_key {pem}; return 200 '[]'; }}"
        for port, pem in certificates.items()
    )
    folders = "".join(f"{kind}_temp_path {folder};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    config = folder / "nginx.conf"
    config.write_text(
        f"daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log stderr;\n"
        f"events {{ }}\nhttp {{ access_log off; default_type application/json; {folders}\n{hosts} }}\n"
    )
    return running_daemon([program("nginx"), "-p", folder, "-c", config], list(certificates), folder / "nginx.log")


def _squid(made: Servers) -> AbstractContextManager[None]:
    config = made.folder / "squid.conf"
    (made.folder / "passwords").write_text("monitor:{PLAIN}none\n")
    config.write_text(
        f"http_port 127.0.0.1:{made.proxy} name=open\nhttp_port 127.0.0.1:{made.proxy_with_login} name=closed\n"
        f"auth_param basic program /usr/lib/squid/basic_ncsa_auth {made.folder}/passwords\n"
        "auth_param basic children 1\n"
        f"acl open myportname open\nacl harvest port {made.good} {made.foreign} 1\nacl known proxy_auth REQUIRED\n"
        "http_access allow open harvest\nhttp_access deny open\nhttp_access allow known\nhttp_access deny all\n"
        "pid_filename none\naccess_log none\ncache deny all\ncache_log stdio:/dev/stderr\nshutdown_lifetime 0 seconds\n"
        "max_filedescriptors 1024\npinger_enable off\nvisible_hostname proxy.test\n"
    )
    ports = [made.proxy, made.proxy_with_login]
    return running_daemon([program("squid"), "-N", "-f", config], ports, made.folder / "squid.log")


def _haproxy(made: Servers) -> AbstractContextManager[None]:
    """One port holds what a client sends first, the other, for a second and a half, what comes after the handshake."""
    config = made.folder / "haproxy.conf"
    config.write_text(
        "defaults\n timeout client 60s\n timeout server 1500ms\n timeout connect 60s\n"
        f"listen handshake\n mode tcp\n bind 127.0.0.1:{made.holds_handshake}\n"
        " tcp-request inspect-delay 60s\n tcp-request content accept if WAIT_END\n"
        f" server other 127.0.0.1:{made.good}\n"
        f"listen request\n mode http\n bind 127.0.0.1:{made.holds_request} ssl crt {made.folder}/good.pem\n"
        f" server other 127.0.0.1:{made.holds_handshake}\n"
    )
    ports = [made.holds_handshake, made.holds_request]
    return running_daemon([program("haproxy"), "-db", "-f", config], ports, made.folder / "haproxy.log")


async def ask(url: str, **settings: object) -> Answer:
    """One request, without anything behind it."""
    gate = Gate(catalogue(), origin(url), "harvest-monitor/test")
    client = KeyClient(gate, ConnectionSettings(**settings), lambda: datetime.now(UTC))  # type: ignore[arg-type]
    async with client.session() as session:
        answer, _ = await session.send(LIST, None, WriteProbes.OFF)
    return answer


async def failure(url: str, **settings: object) -> tuple[str, str]:
    """Code and sentence of a request that must fail."""
    answer = await ask(url, **settings)
    assert answer.failure is not None, answer
    return answer.failure.code.value, answer.failure.message


async def test_a_refused_certificate_is_told_with_authority_and_name(servers: Servers) -> None:
    """Foreign, expired and for another name are three codes; each sentence says who issued it, and for whom."""
    ours = "issued by Our Authority of Example Corp, for"
    cases = {
        servers.foreign: (
            "certificate_untrusted",
            "is not trusted: issued by Corp Proxy Authority of Example Corp, for localhost",
        ),
        servers.expired: ("certificate_expired", f"has expired, or is not valid yet: {ours} localhost, valid from"),
        servers.misnamed: ("certificate_name", f"is for another name: {ours} captive.portal.example"),
    }
    for port, (code, words) in cases.items():
        found, message = await failure(f"https://localhost:{port}", ca_bundle=str(servers.authority))
        assert found == code, message
        assert message.startswith(f"the certificate of localhost:{port} {words}"), message
    good = await ask(f"https://localhost:{servers.good}", ca_bundle=str(servers.authority))
    assert (good.status, good.failure) == (200, None)


async def test_a_failing_proxy_is_named_without_its_password(servers: Servers) -> None:
    """Refused, not found, silent, 407, an ACL's denial and what it cannot reach are six codes."""
    closed, silent = free_ports(1)[0], servers.holds_handshake
    good, proxy, login = (f"127.0.0.1:{port}" for port in (servers.good, servers.proxy, servers.proxy_with_login))
    cases = [
        (f"http://monitor:s3cret@127.0.0.1:{closed}", servers.good, "proxy_refused", "refuses connections"),
        (f"http://monitor:s3cret@{NOWHERE}:3128", servers.good, "proxy_not_found", "cannot be resolved"),
        (
            f"http://monitor:s3cret@127.0.0.1:{silent}",
            servers.good,
            "proxy_timeout",
            f"did not open a way to {good} in time",
        ),
        (f"http://{login}", servers.good, "proxy_login", "asks for a user and password"),
        (f"http://monitor:s3cret@{login}", servers.good, "proxy_login", "does not accept ours (407)"),
        (
            f"http://monitor:s3cret@{proxy}",
            servers.misnamed,
            "proxy_denied",
            f"does not allow connections to 127.0.0.1:{servers.misnamed} (403)",
        ),
        (f"http://monitor:s3cret@{proxy}", 1, "proxy_failed", "could not reach 127.0.0.1:1 (503)"),
    ]
    for address, port, code, words in cases:
        limits = SHORT if code == "proxy_timeout" else {}
        bundle = str(servers.authority)
        found, message = await failure(f"https://127.0.0.1:{port}", proxy=address, ca_bundle=bundle, **limits)
        assert (found, words in message) == (code, True), (address, message)
        assert message.startswith(f"the proxy http://{address.rpartition('@')[2].removeprefix('http://')} "), message
        assert "s3cret" not in message, address


async def test_a_proxy_with_a_certificate_of_its_own_is_told_from_greenhouse(servers: Servers) -> None:
    """An https proxy that nobody trusts, and an http proxy that the settings call https."""
    bundle, target = str(servers.authority), f"https://127.0.0.1:{servers.good}"
    proxy = f"https://monitor:s3cret@localhost:{servers.foreign}"
    code, message = await failure(target, proxy=proxy, ca_bundle=bundle)
    assert code == "certificate_untrusted"
    assert message.startswith(
        f"the certificate of the proxy https://localhost:{servers.foreign} is not trusted: issued"
    )
    code, message = await failure(target, proxy=f"https://localhost:{servers.proxy}", ca_bundle=bundle)
    assert (code, message) == (
        "tls_failed",
        f"the TLS handshake with the proxy https://localhost:{servers.proxy} failed (wrong version number)",
    )


async def test_a_process_without_file_handles_says_so(servers: Servers) -> None:
    """It is not the network's fault."""
    gate = Gate(catalogue(), origin(f"http://127.0.0.1:{servers.good}"), "harvest-monitor/test")
    client = KeyClient(gate, ConnectionSettings(), lambda: datetime.now(UTC))
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with client.session() as session:
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
        try:
            answer, _ = await session.send(LIST, None, WriteProbes.OFF)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert answer.failure is not None
    assert answer.failure.code == "no_file_handles"


async def test_behind_a_proxy_the_certificate_is_still_told(servers: Servers) -> None:
    """A proxy that opens TLS presents its own authority's certificate: both are named."""
    proxy = f"http://monitor:s3cret@127.0.0.1:{servers.proxy}"
    bundle = str(servers.authority)
    assert (await ask(f"https://localhost:{servers.good}", proxy=proxy, ca_bundle=bundle)).status == 200
    code, message = await failure(f"https://localhost:{servers.foreign}", proxy=proxy, ca_bundle=bundle)
    assert code == "certificate_untrusted"
    assert "issued by Corp Proxy Authority" in message
    assert message.endswith(f"(through the proxy http://127.0.0.1:{servers.proxy})")


@contextmanager
def full_backlog() -> Iterator[int]:
    """A port whose queue is full: the system drops what asks for a connection, as a firewall does."""
    with closing(socket.socket()) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        port = listening.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        try:
            yield port
        finally:
            for each in waiting:
                each.close()


async def test_a_time_out_says_at_which_step(servers: Servers) -> None:
    """Connecting, the TLS handshake, and waiting for the answer: all of the kind `timeout`."""
    bundle = str(servers.authority)
    with full_backlog() as backlog:
        cases = {
            f"https://127.0.0.1:{backlog}": ("connect_timeout", "did not accept a connection in time"),
            f"https://localhost:{servers.holds_handshake}": ("tls_timeout", "did not finish the TLS handshake in time"),
            f"https://localhost:{servers.holds_request}": ("timeout", "took the request, but did not answer in time"),
        }
        answers = await asyncio.gather(*(ask(url, ca_bundle=bundle, **SHORT) for url in cases))
        await asyncio.sleep(0.8)  # until haproxy ends its side; the system does so with ours after half a minute
    for (url, (code, words)), answer in zip(cases.items(), answers, strict=True):
        assert answer.kind is AnswerKind.TIMEOUT, url
        assert answer.failure is not None, url
        assert (answer.failure.code.value, words in answer.failure.message) == (code, True), answer.failure


@asynccontextmanager
async def rude_server(resets: bool) -> AsyncIterator[int]:
    """Takes a connection, reads what comes first, and ends it: by a reset, or with a word that is no TLS."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        if resets:
            writer.transport.abort()  # with bytes unread, so the system sends a reset
        else:
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_other_ends_of_a_connection_are_told_apart(servers: Servers) -> None:
    """Refused, not found, reset, closed, no TLS and no HTTP: each a code of its own, of the kind `no_connection`."""
    closed = free_ports(1)[0]
    async with (
        rude_server(resets=True) as resetting,
        rude_server(resets=False) as plain,
        raw_server(always(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")) as other,
        raw_server(lambda _, writer: _close(writer)) as closing_one,
    ):
        cases = {
            f"https://127.0.0.1:{closed}": ("connection_refused", "refuses connections"),
            f"https://{NOWHERE}": ("name_not_found", f"the name {NOWHERE} cannot be resolved"),
            f"https://127.0.0.1:{resetting}": ("connection_reset", "was reset during the TLS handshake"),
            f"https://127.0.0.1:{plain}": ("tls_failed", "(wrong version number)"),
            f"http://127.0.0.1:{other.port}": ("not_http", "is not HTTP"),
            f"http://127.0.0.1:{closing_one.port}": ("connection_closed", "was closed before the answer was complete"),
        }
        for url, (code, words) in cases.items():
            answer = await ask(url)
            assert answer.kind is AnswerKind.NO_CONNECTION, url
            assert answer.failure is not None, url
            assert (answer.failure.code.value, words in answer.failure.message) == (code, True), answer.failure


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
