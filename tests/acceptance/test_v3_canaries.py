"""Clients, tokens, claims and commands are marked; no output contains a mark."""

import base64
import json
import re
import subprocess
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from checks.credential import OAuthClient, Secret, Token
from checks.errors import GateRefusal
from checks.origin import OutgoingRequest, origin
from checks.v3.gate import INTROSPECT, TokenGate, lists
from checks.v3.token_answers import CLAIMS, introspected, minted
from monitor import cli
from monitor.sandbox.sandbox import Sandbox
from tests.acceptance.test_canaries import PERSON, process_list
from tests.background_server import background_sandbox
from tests.command import run, serving, until

MARK = "c4nary"
SUB = "776655443322"
OPAQUE = "c4naryOpaqueTokenOfNoShape"
MAIL_AS_ID = "c4nary.client@customer.example"
COMMAND_SAYS = "c4naryOnStandardError"
FAILING, ODD = "failing", "odd"


def basic_mark(text: str) -> str:
    """Its base64, as far as it does not depend on what follows."""
    raw = text.encode()
    return base64.b64encode(raw[: len(raw) // 3 * 3]).decode()


MARKS = [PERSON, MARK, SUB, basic_mark(f"{MARK}Client"), COMMAND_SAYS]


@dataclass
class MarkedVendor:
    """A folder with tenants of every kind of v3 credential; `tokens` are those the sandbox issued."""

    folder: Path
    sandbox: Sandbox = field(default_factory=lambda: Sandbox(marker=PERSON))
    rows: list[dict[str, Any]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)

    @property
    def vault(self) -> Path:
        """The only folder with secrets in plain text."""
        return self.folder / "vault"

    def keep(self, name: str, text: str) -> str:
        path = self.vault / name
        path.write_text(text)
        path.chmod(0o600)
        return f"file:{path}"

    def script(self, name: str, text: str) -> str:
        path = self.vault / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o700)
        return f"command:{path} {{tenant}}"

    def add_tenant(self, name: str, **fields: Any) -> None:
        """Its client id, secret, organization, user and role are marked; `fields` replace those of the credential."""
        account = self.sandbox.add_account(name, v3_limit=1_000_000)
        account.organization_name = f"{PERSON} Holdings"
        number = len(self.rows) + 1
        client = self.sandbox.add_client(
            name, client_id=f"{MARK}Client-{number}", secret=f"{MARK}Secret{number}", sub=SUB, role="Site Admin"
        )
        self.tokens.append(client.issue())
        credential = {
            "kind": "harvest-oauth",
            "label": "Gem",
            "client_id": self.keep(f"{name}-id", client.client_id),
            "client_secret": self.keep(f"{name}-secret", client.secret),
            "token": self.keep(f"{name}-token", self.tokens[-1]),
            **fields,
        }
        csm = {"name": "Dana", "email": f"{name}@vendor.example"}
        self.rows.append({"id": name, "name": name.title(), "csm": csm, "credential": credential})

    @property
    def names(self) -> list[str]:
        return [row["id"] for row in self.rows]


@pytest.fixture
def vendor(tmp_path: Path) -> Iterator[tuple[MarkedVendor, dict[str, object]]]:
    """Held, opaque, minted and printed tokens; a wrong client id; a command that fails; an unknown role."""
    ours = MarkedVendor(tmp_path)
    ours.vault.mkdir()
    ours.add_tenant("held")
    ours.add_tenant("opaque", token=ours.keep("given-opaque", OPAQUE))
    ours.add_tenant("minted", token="mint")
    ours.add_tenant("refused", token="mint", client_secret=ours.keep("given-wrong", f"{MARK}Wrong"))
    ours.add_tenant("mail", client_id=ours.keep("given-mail", MAIL_AS_ID))
    ours.add_tenant("printed")
    printed = f"echo {COMMAND_SAYS} >&2; cat {ours.vault}/printed-token"
    ours.rows[-1]["credential"]["token"] = ours.script("print", printed)
    ours.add_tenant(FAILING, token=ours.script("fail", f"echo {OPAQUE}; echo {COMMAND_SAYS} >&2; exit 3"))
    ours.add_tenant("chatty", token=ours.script("chat", f"echo {OPAQUE}; echo {OPAQUE}"))
    ours.add_tenant(ODD)
    ours.sandbox.client(ODD).role = f"{PERSON} Admin"
    (tmp_path / "tenants.yaml").write_text(yaml.safe_dump({"tenants": ours.rows}))
    with background_sandbox(ours.sandbox) as url:
        yield ours, settings(tmp_path, url)


def settings(folder: Path, url: str) -> dict[str, object]:
    return {
        "harvest_url": url,
        "auth_url": url,
        "requests_per_second": 0,
        "interval": "3s",
        "confirm_after": "1s",
        "settle": "1s",
        "notices": "csm",
        "mail_from": "monitor@vendor.example",
        "operator_mail": "ops@vendor.example",
        "smtp_url": f"mailbox:{folder / 'mail'}",
        "log_level": "debug",
    }


def assert_clean(what: str, content: str | bytes, tokens: list[str]) -> None:
    """No mark, and no part of a token that identifies it."""
    raw = content if isinstance(content, bytes) else content.encode()
    for mark in [*MARKS, *(part for token in tokens for part in token.split(".")[1:])]:
        assert mark.encode() not in raw, f"{mark} is in {what}"


def test_no_mark_gets_out_of_the_service(vendor: tuple[MarkedVendor, dict[str, object]]) -> None:
    """With healthy checks, a lost scope, refusals, an echoed id, and commands that print too much."""
    ours, given = vendor
    with serving(ours.folder, **given) as service:
        until(lambda: {line["tenant"] for line in service.logged("checked")} == set(ours.names))
        accepted = run(ours.folder, "manifest", "accept-v3", "--reason", "read", **given)
        assert accepted.returncode == 0, accepted.stderr
        ours.sandbox.client("held").untick("harvest:offers:list")
        until(lambda: list((ours.folder / "mail").glob("held*.eml")))
        assert_clean("/metrics", service.get("/metrics")[1], ours.tokens)
        assert_clean("the process list", process_list(), ours.tokens)
        assert service.stop() == 0
        details = {line["tenant"]: line["state"] for line in service.logged("checked")}
    assert details["refused"] == "invalid"
    assert details["mail"] == "misconfigured"
    assert details["minted"] == details["printed"] == "ok"
    assert details["opaque"] == "unreachable"
    assert ours.sandbox.request_log.change_count == 0
    files = [path for path in ours.folder.rglob("*") if path.is_file() and ours.vault not in path.parents]
    assert {path.suffix for path in files} >= {".eml", ".log", ".sqlite3", ".yaml"}
    for path in files:
        assert_clean(str(path), path.read_bytes(), ours.tokens)
    for arguments in (["history", "--json"], ["tenants", "show", "held"], ["notices", "list"]):
        assert_clean(" ".join(arguments), everything(run(ours.folder, *arguments, **given)), ours.tokens)


def everything(result: "subprocess.CompletedProcess[str]") -> str:
    return result.stdout + result.stderr


def test_no_mark_gets_into_what_a_check_prints(vendor: tuple[MarkedVendor, dict[str, object]]) -> None:
    """As JSON and as text, with every log line; each tenant is there, and each problem is reported."""
    ours, given = vendor
    for arguments in (["check", "--json"], ["check"]):
        result = run(ours.folder, *arguments, **given)
        assert_clean(" ".join(arguments), everything(result), ours.tokens)
        assert all(name in result.stdout for name in ours.names)
        assert "the command ended with status 3" in everything(result)
        assert "the command prints 2 lines" in everything(result)


@pytest.mark.parametrize(
    ("name", "literal"), [("client_id", f"{MARK}Client-1"), ("client_secret", f"{MARK}S"), ("token", "the token's")]
)
def test_a_literal_secret_in_the_tenants_file_is_refused_without_being_shown(
    name: str,
    literal: str,
    vendor: tuple[MarkedVendor, dict[str, object]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In any of the three fields, it is quoted neither on the terminal nor in the document."""
    ours, given = vendor
    written = ours.tokens[0] if name == "token" else literal
    row = {**ours.rows[0], "credential": {**ours.rows[0]["credential"], name: written}}
    (ours.folder / "tenants.yaml").write_text(yaml.safe_dump({"tenants": [row]}))
    monkeypatch.chdir(ours.folder)
    for setting, value in given.items():
        monkeypatch.setenv(f"HARVEST_MONITOR_{setting.upper()}", str(value))
    for arguments in (["check"], ["check", "--json"]):
        assert cli.run(arguments) == 2
        printed = capsys.readouterr()
        assert name in printed.out + printed.err
        assert_clean("the refusal", printed.out + printed.err, ours.tokens)


JWT = ".".join(base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in ('{"alg":1}', MARK * 9, MARK))
CLIENT = OAuthClient(Secret(f"{MARK}Client-1"), Secret(f"{MARK}Secret"), Token(JWT))
CLAIMED = {"organization": {"id": 4, "name": PERSON}, "user_role": PERSON}


@pytest.mark.parametrize("token", [JWT, OPAQUE])
def test_no_traceback_or_repr_shows_what_was_sent(token: str) -> None:
    """A request that the gate refuses, and every object that leads to it."""
    gate = TokenGate(origin("https://harvest.greenhouse.io"), origin("https://auth.greenhouse.io"), "x")
    client = OAuthClient(CLIENT.client_id, CLIENT.secret, Token(token))
    made = [gate.listing(lists()["harvest:users:list"], Token(token)), gate.introspection(client, Token(token))]
    assert token in str(made[0].headers)
    assert gate.check(made[1]) is INTROSPECT
    for request in made:
        bad = OutgoingRequest("PUT", request.url, request.headers, request.body)
        with pytest.raises(GateRefusal) as refusal:
            gate.check(bad)
        shown = "".join(traceback.format_exception(refusal.value)) + repr([refusal.value, bad, request, client])
        assert_clean("the traceback or repr", shown, [token if token == JWT else f".{token}"])


def test_no_repr_shows_what_was_answered() -> None:
    """It shows neither whose token it is nor a new token, only what a verdict relies on."""
    about = {"active": True, "client_id": f"{MARK}-1", "sub": SUB, "scope": "harvest:users:list", CLAIMS: CLAIMED}
    about_token = introspected(200, {}, json.dumps(about).encode())
    issued = minted(200, {}, json.dumps({"access_token": OPAQUE}).encode())
    assert about_token.introspection is not None
    assert (about_token.introspection.client_id, about_token.introspection.role) == (f"{MARK}-1", PERSON)
    assert issued.token is not None
    shown = repr([about_token, issued])
    assert_clean("repr", shown, [])
    assert re.search("active=True.*harvest:users:list", shown)
