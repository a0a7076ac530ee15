"""The sandbox's v3 over real HTTP: from a client's secret to a list, its control API, and its commands."""

import json
import stat
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode

import pytest

from monitor import cli
from monitor.sandbox.greenhouse.clients import Client
from monitor.sandbox.greenhouse.request import basic
from monitor.sandbox.sandbox import Sandbox
from tests.background_server import background_sandbox

JOBS = "harvest:jobs:list"


@pytest.fixture
def sandbox() -> Sandbox:
    made = Sandbox()
    made.add_account("acme")
    return made


@pytest.fixture
def client(sandbox: Sandbox) -> Client:
    return sandbox.add_client("acme")


@pytest.fixture
def url(sandbox: Sandbox) -> Iterator[str]:
    with background_sandbox(sandbox) as address:
        yield address


def fetch(url: str, authorization: str | None, body: bytes | None = None, kind: str = "") -> tuple[int, Any]:
    headers = {} if authorization is None else {"Authorization": authorization}
    headers |= {"Content-Type": kind} if kind else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=body, headers=headers), timeout=30) as answer:
            return answer.status, json.loads(answer.read())
    except HTTPError as refused:
        with refused:
            return refused.code, json.loads(refused.read())


def posted(url: str, client: Client, **form: str) -> tuple[int, Any]:
    authorization = basic(client.client_id, client.secret)
    return fetch(url, authorization, urlencode(form).encode(), "application/x-www-form-urlencoded")


def control(url: str, path: str, body: Any = None) -> tuple[int, Any]:
    data = None if body is None else json.dumps(body).encode()
    return fetch(f"{url}/_sandbox{path}", None, data, "application/json" if data else "")


def command(url: str, *arguments: str) -> int:
    return cli.run(["sandbox", *arguments, "--url", url])


def test_a_secret_leads_to_a_list(sandbox: Sandbox, client: Client, url: str) -> None:
    """Token, introspection and list on one port; nothing without the token, and nothing is changed."""
    status, minted = posted(f"{url}/token", client, grant_type="client_credentials")
    assert (status, minted["token_type"]) == (200, "Bearer")
    token = minted["access_token"]
    _, facts = posted(f"{url}/introspect", client, token=token, token_type_hint="access_token")
    assert facts["active"] is True
    assert len(facts["scope"].split(" ")) == 37
    status, jobs = fetch(f"{url}/v3/jobs?per_page=1", f"Bearer {token}")
    assert (status, len(jobs)) == (200, 1)
    assert fetch(f"{url}/v3/eeoc?per_page=1", f"Bearer {token}") == (403, {"message": "Forbidden"})
    assert fetch(f"{url}/v3/jobs", None)[0] == 401
    assert sandbox.request_log.changes() == []


def test_clients_are_shown_and_changed_by_the_control_api(sandbox: Sandbox, url: str) -> None:
    """Add, show with secret, tick, set a role, rotate, kill, enable; issue and revoke tokens."""
    status, added = control(url, "/clients", {"account": "acme", "scopes": [JOBS], "label": "Mine"})
    assert (status, added["client_id"], added["ticked"]) == (201, "sandbox-acme-client-1", 1)
    _, state = control(url, "/state")
    assert state["accounts"][0]["clients"] == [added]
    assert state["accounts"][0]["organization"] == 4001
    token = control(url, "/clients/token", {"account": "acme"})[1]["token"]
    assert fetch(f"{url}/v3/jobs", f"Bearer {token}")[0] == 200
    for path, body, expected in (
        ("/clients/revoke", {"scopes": [JOBS]}, 403),
        ("/clients/grant", {"scopes": [JOBS]}, 200),
        ("/clients/scopes", {"scopes": "none"}, 403),
        ("/clients/scopes", {"scopes": "gem"}, 200),
        ("/clients/kill", {}, 401),
        ("/clients/enable", {}, 200),
        ("/kill", {}, 401),
        ("/enable", {}, 200),
        ("/clients/rotate", {}, 200),
        ("/clients/revoke-tokens", {}, 401),
    ):
        assert control(url, path, {"account": "acme", **body})[0] == 200
        assert fetch(f"{url}/v3/jobs", f"Bearer {token}")[0] == expected, path
    assert control(url, "/clients/role", {"account": "acme", "client": "Mine", "role": "Basic"})[1]["role"] == "Basic"
    assert sandbox.client("acme").secret == "sandbox-acme-secret-2"
    assert control(url, "/accounts/acme")[1]["clients"][0]["scopes"] == sorted(sandbox.client("acme").ticked)


def test_the_scopes_are_listed_with_their_titles(url: str) -> None:
    """All, as on Greenhouse's screen, and which of them are Gem's."""
    _, scopes = control(url, "/scopes")
    assert len(scopes) == 163
    assert {"name": JOBS, "group": "Jobs", "title": "List jobs", "gem": True, "eeoc": False} in scopes
    assert sum(each["gem"] for each in scopes) == 37
    assert [each["name"] for each in scopes if each["eeoc"]] == ["harvest:eeoc:list"]


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/clients", {"account": "acme"}, "already has a client 'Gem'"),
        ("/clients", {"account": "acme", "label": "x", "grant": "password"}, "grant: Input should be"),
        ("/clients/grant", {"account": "acme", "scopes": ["harvest:job:list"]}, "did you mean harvest:jobs:list"),
        ("/clients/kill", {"account": "acme", "client": "Other"}, "has no client 'Other'"),
        ("/clients/kill", {"account": "acme", "key": "Gem"}, "key: is not known here"),
        ("/clients/role", {"account": "acme", "role": " "}, "role: name one, or null"),
        ("/kill", {"account": "acme", "key": "Gem"}, "has no key 'Gem'"),
    ],
)
def test_a_mistake_is_said_in_words(client: Client, url: str, path: str, body: Any, words: str) -> None:
    """It changes nothing."""
    status, content = control(url, path, body)
    assert status == 400
    assert words in content["error"]
    assert (client.dead, len(client.ticked)) == (False, 37)


def test_no_token_where_greenhouse_would_issue_none(client: Client, url: str) -> None:
    """A client that is disabled, or has no scope."""
    client.ticked = frozenset()
    assert "has no scope" in control(url, "/clients/token", {"account": "acme"})[1]["error"]
    client.kill()
    assert "is disabled" in control(url, "/clients/token", {"account": "acme"})[1]["error"]


def test_scopes_are_unticked_and_ticked_by_command(
    sandbox: Sandbox, client: Client, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Names of scopes go to the client, others to the key, even in one command."""
    key = sandbox.add_key("acme")
    assert command(url, "untick", JOBS, "GET /v1/jobs", "--account", "acme") == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()[1:]]
    assert rows == [["acme", "Harvest API Key", "live", "143"], ["acme", "Gem", "live", "36"]]
    assert JOBS not in client.ticked
    assert "GET /v1/jobs" not in key.ticked
    assert command(url, "tick", JOBS, "--label", "Gem", "--account", "acme") == 0
    assert JOBS in client.ticked
    assert "GET /v1/jobs" not in key.ticked
    assert command(url, "untick", "harvest:job:list") == 2
    assert "did you mean harvest:jobs:list" in capsys.readouterr().err


def test_clients_are_killed_by_command(sandbox: Sandbox, client: Client, url: str) -> None:
    """By label; by the account alone if it has no key; or all at once."""
    assert command(url, "kill", "--account", "acme") == 0
    assert client.dead
    assert command(url, "enable") == 0
    assert not client.dead
    key = sandbox.add_key("acme")
    assert command(url, "kill", "--account", "acme") == 0
    assert (key.dead, client.dead) == (True, False)
    assert command(url, "kill", "--account", "acme", "--label", "Gem") == 0
    assert client.dead
    assert command(url, "enable", "--key", "Harvest API Key", "--label", "Gem") == 2


def test_a_token_is_printed_or_written_for_its_owner_only(
    client: Client, url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Others cannot read the file, even if they could before, and it has the token and nothing else."""
    assert command(url, "token", "--account", "acme") == 0
    printed = capsys.readouterr().out.strip()
    assert fetch(f"{url}/v3/jobs", f"Bearer {printed}")[0] == 200
    for file in (tmp_path / "new", tmp_path / "old"):
        if file.name == "old":
            file.write_text("x" * 10_000)
            file.chmod(0o644)
        assert command(url, "token", "--account", "acme", "--label", "Gem", "--output", str(file)) == 0
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        (text,) = file.read_text().splitlines()
        assert fetch(f"{url}/v3/jobs", f"Bearer {text}")[0] == 200
        assert text not in capsys.readouterr().err
    assert command(url, "token", "--account", "acme", "--output", str(tmp_path / "no" / "where")) == 2
    assert "cannot be written" in capsys.readouterr().err
