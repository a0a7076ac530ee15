"""`web link|sessions|revoke` and `tokens create|list|revoke`."""

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from monitor import cli
from monitor.cli.database import who
from monitor.clock import utc_now
from monitor.config.settings import PREFIX, Settings
from monitor.store.database import Database
from monitor.store.sign_in_tables import API_TOKEN, SIGN_IN_LINK
from monitor.store.tables import OPERATOR_ACTION
from monitor.web.auth.secret import SecretKind, is_secret
from tests.store import rows
from tests.website import website

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(sqlite: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command on the database; returns status, stdout and stderr."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"{PREFIX}{name.upper()}", raising=False)
    monkeypatch.setenv("HARVEST_MONITOR_DATABASE_URL", f"sqlite:///{tmp_path / 'harvest-monitor.sqlite3'}")

    def run(*arguments: str, **variables: str) -> tuple[int, str, str]:
        with monkeypatch.context() as given:
            for name, value in variables.items():
                given.setenv(f"{PREFIX}{name.upper()}", value)
            capsys.readouterr()
            status = cli.run(list(arguments))
        return status, *capsys.readouterr()

    return run


def stored(database: Database, table: Any) -> list[dict[str, Any]]:
    return asyncio.run(rows(database, table))


def test_a_link_is_printed_alone(run: Run, sqlite: Database) -> None:
    """stdout is the link and nothing else, at the public address or where the service listens."""
    for variables, address in (
        ({}, "http://127.0.0.1:9808"),
        ({"public_url": "https://monitor.vendor.example/"}, "https://monitor.vendor.example"),
        ({"listen": "0.0.0.0:80"}, "http://127.0.0.1:80"),
        ({"listen": "[::]:80"}, "http://[::1]:80"),
    ):
        status, out, err = run("web", "link", "--role", "operator", "--name", "Dana Reyes", **variables)
        found = re.fullmatch(rf"{re.escape(address)}/sign-in/link/(\S+)\n", out)
        assert status == 0
        assert found, out
        assert is_secret(found[1], SecretKind.LINK)
        assert "Dana Reyes as operator: once, within 10 minutes" in err
    (link, *_) = stored(sqlite, SIGN_IN_LINK)
    assert (link["name"], link["role"], len(link["digest"])) == ("Dana Reyes", "operator", 64)
    assert stored(sqlite, OPERATOR_ACTION)[0]["who"] == who()


def test_without_options_a_link_is_for_oneself_as_a_viewer(run: Run, sqlite: Database) -> None:
    """Acting is asked for in so many words."""
    assert run("web", "link")[0] == 0
    (link,) = stored(sqlite, SIGN_IN_LINK)
    assert (link["name"], link["role"]) == (who(), "viewer")


def test_a_link_that_could_not_work_is_not_made(run: Run, sqlite: Database) -> None:
    """Another way of signing in, a port nobody knows, a name that could forge a line: an error with the next step."""
    for arguments, variables, message in (
        ((), {"sign_in": "proxy", "trusted_proxies": "10.0.0.1"}, "SIGN_IN=proxy accepts no links"),
        ((), {"listen": "127.0.0.1:0"}, "set HARVEST_MONITOR_PUBLIC_URL"),
        (("--name", "a\nb"), {}, "without line breaks"),
    ):
        status, out, err = run("web", "link", *arguments, **variables)
        assert (status, out) == (2, ""), arguments
        assert message in err
    assert stored(sqlite, SIGN_IN_LINK) == []


def test_sessions_are_listed_and_ended(run: Run, sqlite: Database) -> None:
    """One by the id that the list shows, or all; the list shows no secret."""

    async def two() -> list[str]:
        async with website(sqlite) as site:
            site.clock.now = utc_now()
            await site.signed_in(name="dana")
            cookies = list(dict(site.browser.cookies).values())
            site.browser.cookies.clear()
            await site.signed_in(name="lee")
            return [*cookies, *dict(site.browser.cookies).values()]

    secrets = asyncio.run(two())
    status, out, _ = run("web", "sessions", "--json")
    listed = {session["name"]: session for session in json.loads(out)["sessions"]}
    assert (status, set(listed)) == (0, {"dana", "lee"})
    assert not any(secret in out for secret in secrets)
    assert "dana" in run("web", "sessions")[1]
    assert run("web", "revoke", listed["dana"]["id"])[:2] == (0, "1 session ended\n")
    assert run("web", "revoke", listed["dana"]["id"])[0] == 2
    assert run("web", "revoke")[0] == run("web", "revoke", "x", "--all")[0] == 2
    assert run("web", "revoke", "--all")[:2] == (0, "1 session ended\n")
    assert json.loads(run("web", "sessions", "--json")[1]) == {"sessions": []}


def test_a_token_is_printed_once(run: Run, sqlite: Database) -> None:
    """Alone on stdout; afterwards it is listed with owner, role and end, and without the token."""
    status, token, _ = run("tokens", "create", "--name", "grafana", "--role", "viewer", "--owner", "lee")
    assert (status, is_secret(token.strip(), SecretKind.API_TOKEN)) == (0, True)
    run("tokens", "create", "--name", "deploy", "--role", "operator", "--expires", "never")
    everything = run("tokens", "list", "--json")[1]
    listed = {one["name"]: one for one in json.loads(everything)["tokens"]}
    assert token.strip() not in everything + run("tokens", "list")[1]
    assert [(listed[n]["role"], listed[n]["owner"]) for n in ("grafana", "deploy")] == [
        ("viewer", "lee"),
        ("operator", who()),
    ]
    assert listed["deploy"]["expires_at"] is None
    (grafana,) = [row for row in stored(sqlite, API_TOKEN) if row["name"] == "grafana"]
    assert (grafana["expires_at"] - grafana["created_at"]).days == 90


def test_a_token_is_revoked_by_name_or_id(run: Run, sqlite: Database) -> None:
    """It stays in the list, as revoked; a name that is not in force is an error."""
    for name in ("grafana", "deploy"):
        run("tokens", "create", "--name", name, "--role", "viewer")
    number = {row["name"]: row["id"] for row in stored(sqlite, API_TOKEN)}["deploy"]
    assert [run("tokens", "revoke", which)[0] for which in ("grafana", number, "grafana", "nobody")] == [0, 0, 2, 2]
    assert run("tokens", "list")[1].count("revoked 20") == 2


def test_a_wrong_end_is_an_error_with_the_next_step(run: Run) -> None:
    """Nothing is created."""
    status, out, err = run("tokens", "create", "--name", "x", "--role", "viewer", "--expires", "soon")
    assert (status, out) == (2, "")
    assert "--expires must be" in err
    assert "never" in err
