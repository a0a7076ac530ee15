"""Which modules may use the network, and which may import which, by the imports of every module."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.paths import ROOT
from tests.structure import classes_twice, files_alike

OPENS_CONNECTIONS = {
    "httpx", "httpx_aiohttp", "aiohttp", "requests", "urllib3", "http.client", "urllib.request", "socket", "ssl",
    "ftplib", "telnetlib", "smtplib", "poplib", "imaplib", "xmlrpc", "aiosmtplib", "asyncio.streams", "socketserver",
    "subprocess", "pycurl", "websockets", "grpc", "paramiko",
}  # fmt: skip
ALLOWED = {
    "checks/wire/connection.py": {"aiohttp", "httpx", "httpx_aiohttp", "ssl"},
    "checks/wire/failure_cause.py": {"aiohttp", "socket", "ssl"},  # their errors
    "checks/wire/progress.py": {"aiohttp", "socket", "ssl"},  # what a connection goes through
    "monitor/notices/delivery/transport.py": {"aiosmtplib"},  # to the operator's mail server
    "monitor/web/auth/oidc.py": {"httpx", "ssl"},  # to the OpenID provider that people sign in at
    "monitor/sandbox/mail/server.py": {"ssl"},  # a server's certificate; it opens no connection
    "monitor/sandbox/control/remote.py": {"http.client"},  # only to a sandbox on this machine
}
OPENING_CALLS = {
    "open_connection",
    "create_connection",
    "open_unix_connection",
    "create_datagram_endpoint",
    "sock_connect",
}


def modules() -> Iterator[tuple[str, ast.Module]]:
    for package in ("checks", "monitor", "templates"):
        for path in sorted((ROOT / package).rglob("*.py")):
            yield str(path.relative_to(ROOT)), ast.parse(path.read_text("utf-8"))


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def network_parts(tree: ast.Module) -> set[str]:
    return {known for name in imported(tree) for known in OPENS_CONNECTIONS if (name + ".").startswith(known + ".")}


def test_only_the_client_can_open_a_connection_to_greenhouse() -> None:
    """Only the listed modules import anything that can open a connection."""
    found = {name: parts for name, tree in modules() if (parts := network_parts(tree))}
    assert found == ALLOWED


def test_no_module_opens_a_connection_through_the_event_loop() -> None:
    """And no module imports another one by a computed name."""
    calls = []
    for name, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                calls += (
                    [(name, called)]
                    if called in OPENING_CALLS | {"import_module", "__import__", "exec", "eval"}
                    else []
                )
    assert calls == []


def test_no_package_imports_what_it_must_not() -> None:
    """import-linter's contracts are kept: checks knows nothing of the service, the core does no I/O."""
    lint = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run([str(lint)], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stdout


def test_public_class_names_are_unique() -> None:
    """One name, one thing: nobody has to ask which of two is meant."""
    assert classes_twice(ROOT) == []


def test_no_two_files_are_easily_confused() -> None:
    """No two names in one folder differ by one letter."""
    assert files_alike(ROOT) == []


def test_sql_is_in_the_store_and_in_query_files_only() -> None:
    """Statements are built only in monitor/store and in files named `queries.py` or `*_queries.py`."""
    statements = {"select", "insert", "update", "delete", "text"}
    found = [
        (name, node.module)
        for name, tree in modules()
        if not name.startswith("monitor/store/") and not name.endswith(("/queries.py", "_queries.py"))
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("sqlalchemy", "sqlmodel"))
        and statements & {alias.name for alias in node.names}
    ]  # fmt: skip
    assert found == []
