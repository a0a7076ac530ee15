"""`doctor` finds every fault and names it with a next step. It changes nothing and shows no secret."""

import base64
import json
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from checks.catalogue.entry import WriteProbes
from checks.manifest import load
from checks.v1.key_state import RETIRED_AFTER
from monitor import cli
from monitor.config.settings import PREFIX, Settings
from monitor.store.tables import METADATA
from monitor.tenants.file_reader import read_tenants_file
from monitor.tenants.manifests import ManifestRegistry
from monitor.tenants.targets import build_targets
from monitor.upkeep import doctor_findings
from tests.certificates import Authority
from tests.installation import START

SECRET = "s3cret-that-nobody-may-see"
CSM = {"name": "Dana Reyes", "email": "dana@vendor.example"}


def jwt(expires_at: int) -> str:
    parts = ({"alg": "RS256"}, {"exp": expires_at}, SECRET)
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)


@dataclass
class Place:
    """A healthy installation: a v3 tenant with a held token, mail, and links."""

    folder: Path
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]
    rows: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in Settings.model_fields:
            self.monkeypatch.delenv(PREFIX + name.upper(), raising=False)
        given = {
            "database_url": f"sqlite:///{self.folder}/store.sqlite3",
            "tenants": f"{self.folder}/tenants.yaml",
            "smtp_url": f"mailbox:{self.folder}/mail",
            "mail_from": "monitor@vendor.example",
            "operator_mail": "ops@vendor.example",
            "public_url": "https://monitor.vendor.example",
            "vendor_name": "Gem",
            "support_contact": "support@vendor.example",
            "secret_handover": "a link from your manager",
            "harvest_url": "http://127.0.0.1:1",
            "auth_url": "http://127.0.0.1:1",
        }
        for name, value in given.items():
            self.set(name, value)
        self.tenant("acme", **self.client())

    def set(self, name: str, value: str | None) -> None:
        if value is None:
            self.monkeypatch.delenv(PREFIX + name.upper(), raising=False)
        else:
            self.monkeypatch.setenv(PREFIX + name.upper(), value)

    def keep(self, name: str, text: str, mode: int = 0o600) -> str:
        path = self.folder / name
        path.write_text(text)
        path.chmod(mode)
        return f"file:{path}"

    def database(self, content: bytes, mode: int = 0o600) -> Path:
        (path := self.folder / "store.sqlite3").write_bytes(content)
        path.chmod(mode)
        return path

    def set_database_in(self, folder: Path, mode: int) -> None:
        folder.mkdir()
        (folder / "store.sqlite3").touch(0o600)
        folder.chmod(mode)
        self.set("database_url", f"sqlite:///{folder}/store.sqlite3")

    def settings_file(self, text: str, mode: int) -> None:
        self.set("config", self.keep("settings.toml", text, mode).removeprefix("file:"))
        self.set("harvest_url", None)

    def command(self, script: str) -> str:
        self.keep("give", f"#!/bin/sh\n{script}\n", 0o700)
        return f"command:{self.folder}/give"

    def client(self, **fields: Any) -> dict[str, Any]:
        held = {"client_id": self.keep("id", f"{SECRET}-1"), "client_secret": self.keep("secret", SECRET)}
        held["token"] = self.keep("token", jwt(4_000_000_000))
        return {"kind": "harvest-oauth", "label": "Gem", "organization": 4242, **held, **fields}

    def tenant(self, tenant_id: str, **credential: Any) -> None:
        self.rows.append({"id": tenant_id, "name": tenant_id.title(), "csm": CSM, "credential": credential})
        (self.folder / "tenants.yaml").write_text(json.dumps({"tenants": self.rows}))

    def only(self, **credential: Any) -> None:
        self.rows.clear()
        self.tenant("acme", **credential)

    def doctor(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        """Exit status and JSON document; whatever is found, the output contains no secret."""
        self.capsys.readouterr()
        status = cli.run(["doctor", "--json", *arguments])
        said = self.capsys.readouterr()
        assert SECRET not in said.out + said.err
        return status, json.loads(said.out)


def published(folder: Path) -> Path:
    """Gem's manifest, as if Gem had published its scopes."""
    text = (resources.files("checks") / "manifests" / "gem.yaml").read_text("utf-8")
    (folder / "published.yaml").write_text(text.replace("v3_source: derived", "v3_source: published"))
    return folder / "published.yaml"


@pytest.fixture
def migrated(_migrated_file: Path) -> bytes:
    return _migrated_file.read_bytes()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Place:
    return Place(tmp_path, monkeypatch, capsys)


def test_a_healthy_installation_is_left_as_it_is(place: Place) -> None:
    """Nothing is found; no file is created or touched."""
    before = {path: path.stat().st_mtime_ns for path in place.folder.rglob("*")}
    assert place.doctor() == (
        0,
        {"findings": [], "credentials": {"harvest-oauth, custom": 1}, "commands_not_run": 0, "reached": {}},
    )
    assert {path: path.stat().st_mtime_ns for path in place.folder.rglob("*")} == before


def test_an_existing_database_is_examined_and_not_changed(place: Place, migrated: bytes) -> None:
    """A database of this release is no finding, nor is an empty file, which the next start fills."""
    place.set("manifest", str(published(place.folder)))
    for content in (migrated, b""):
        file = place.database(content)
        assert place.doctor()[0] == 0
        assert file.read_bytes() == content


def test_derived_scopes_that_nobody_has_accepted_are_found(place: Place, migrated: bytes) -> None:
    """Until `manifest accept-v3`; and only if a v3 credential is checked against them."""
    place.database(migrated)
    status, document = place.doctor()
    assert status == 0
    (finding,) = document["findings"]
    assert (finding["severity"], finding["area"], finding["tenant"]) == ("note", "manifest", None)
    assert "nobody has accepted them" in finding["message"]
    assert "manifest accept-v3" in finding["next_step"]
    assert cli.run(["manifest", "accept-v3", "--reason", "read"]) == 0
    assert place.doctor()[1]["findings"] == []


def postgres_out_of_reach(place: Place) -> None:
    place.set("database_url", f"postgresql://monitor:{SECRET}@127.0.0.1:1/x")
    place.set("installation_key", f"{place.folder}/key")


def damage(place: Place) -> None:
    place.database(b"no database at all" * 1000)


def foreign_database(place: Place) -> None:
    import sqlite3

    conn = sqlite3.connect(place.database(b""))
    conn.execute(f"CREATE TABLE {next(iter(METADATA.tables))} (id INTEGER)")
    conn.close()


Break = Callable[[Place], object]
# How to break it · area · part of the message · part of the next step · whether it concerns the tenant.
FOUND: dict[str, tuple[Break, str, str, str, bool]] = {
    "mail not configured": (
        lambda p: [p.set(name, None) for name in ("smtp_url", "mail_from", "operator_mail", "public_url")],
        "settings",
        "no email will be sent",
        "set it together with",
        False,
    ),
    "mail without a sender": (lambda p: p.set("mail_from", None), "settings", "MAIL_FROM is not set", "set it", False),
    "no public address": (
        lambda p: p.set("public_url", None),
        "settings",
        "emails contain no links",
        "where people open",
        False,
    ),
    "a database that all can write": (
        lambda p: p.database(b"", 0o666),
        "database",
        "every user of this machine can read and write",
        "chmod o-rw",
        False,
    ),
    "a log of the database that all can read": (
        lambda p: [p.database(b""), p.keep("store.sqlite3-wal", "", 0o644)],
        "database",
        "store.sqlite3-wal",
        "chmod o-r ",
        False,
    ),
    "a backup that all can read": (
        lambda p: p.keep("backup-2026-11", "SQLite format 3\0", 0o644),
        "database",
        "backup-2026-11",
        "chmod o-r ",
        False,
    ),
    "an installation key that all can read": (
        lambda p: p.keep("harvest-monitor.key", "ab" * 32, 0o644),
        "database",
        "harvest-monitor.key",
        "chmod o-r ",
        False,
    ),
    "a folder of the database that all can write": (
        lambda p: p.set_database_in(p.folder / "open", 0o777),
        "database",
        "replace files in the folder",
        "chmod o-w ",
        False,
    ),
    "a tenants file that all can write": (
        lambda p: os.chmod(p.folder / "tenants.yaml", 0o646),
        "tenants",
        "can write",
        "chmod o-w ",
        False,
    ),
    "a settings file with a password that all can read": (
        lambda p: p.settings_file(f'http_proxy = "http://monitor:{SECRET}@proxy.example:3128"', 0o644),
        "settings",
        "settings.toml",
        "chmod o-r ",
        False,
    ),
    "a secret of a setting that all can read": (
        lambda p: p.set("smtp_url", p.keep("smtp-url", f"smtp://monitor:{SECRET}@mail.example:587", 0o644)),
        "settings",
        "can read",
        "chmod o-r ",
        False,
    ),
    "no name for the customers": (
        lambda p: p.set("vendor_name", None),
        "settings",
        "by which name customers know you",
        "set what is true",
        False,
    ),
    "no folder for the database": (
        lambda p: p.set("database_url", "sqlite:////nowhere/store.sqlite3"),
        "database",
        "/nowhere",
        "name another",
        False,
    ),
    "a damaged database": (damage, "database", "not a database", "restore a backup", False),
    "a Postgres that is not there": (postgres_out_of_reach, "database", "cannot be used", "can be reached", False),
    "another program's database": (
        foreign_database,
        "database",
        "tables of another program",
        "HARVEST_MONITOR_DATABASE_URL",
        False,
    ),
    "a manifest that is not there": (lambda p: p.set("manifest", "gme"), "manifest", "gme", "", False),
    "no tenants file": (lambda p: (p.folder / "tenants.yaml").unlink(), "tenants", "tenants.yaml", "", False),
    "a row that is wrong": (
        lambda p: p.only(kind="harvest-key", label="Key"),
        "tenants",
        "needs a key",
        "correct the row",
        True,
    ),
    "a variable that is not set": (
        lambda p: p.only(**p.client(token="env:NO_SUCH_TOKEN")),
        "credentials",
        "token: env:NO_SUCH_TOKEN",
        "correct the name",
        True,
    ),
    "a file that is not there": (
        lambda p: p.only(**p.client(client_secret="file:/nowhere/secret")),
        "credentials",
        "client_secret: file:/nowhere/secret",
        "correct the path",
        True,
    ),
    "a file that all can read": (
        lambda p: os.chmod(p.folder / "secret", 0o644),
        "credentials",
        "every user of this machine can read",
        "chmod o-r",
        True,
    ),
    "an empty token": (
        lambda p: p.keep("token", ""),
        "credentials",
        "the file is empty, perhaps because it is being written",
        "if it stays empty, write the secret into it",
        True,
    ),
    "an expired token": (
        lambda p: p.keep("token", jwt(1_700_000_000)),
        "credentials",
        "the token expired at 2023-11-14 22:13Z",
        "repair what supplies it",
        True,
    ),
    "a secret outside ASCII": (
        lambda p: p.keep("secret", SECRET + "é"),
        "credentials",
        "outside ASCII",
        "store the client secret itself",
        True,
    ),
    "a client secret in quotes": (
        lambda p: p.only(**p.client(client_secret=p.keep("quoted", f'"{SECRET}"'))),
        "credentials",
        "client secret",
        "store the client secret itself and nothing else",
        True,
    ),
    "client id and secret in each other's place": (
        lambda p: p.only(
            **p.client(client_id=p.keep("other-id", SECRET), client_secret=p.keep("other-secret", f"{SECRET}-1"))
        ),
        "credentials",
        "ends as a client id does",
        "exchange what the two references hold",
        True,
    ),
    "the same while the token's command is not run": (
        lambda p: p.only(
            **p.client(
                client_id=p.keep("other-id", SECRET),
                client_secret=p.keep("other-secret", f"{SECRET}-1"),
                token=p.command("exit 3"),
            )
        ),
        "credentials",
        "other-id, file:",
        "exchange what the two references hold",
        True,
    ),
    "a client id with a colon": (
        lambda p: p.keep("id", f"a:{SECRET}"),
        "credentials",
        "contains a colon",
        "store the client id",
        True,
    ),
    "minting": (
        lambda p: p.only(**p.client(token="mint")),
        "credentials",
        "does not document",
        "use a held token",
        True,
    ),
    "a partner's client without organization": (
        lambda p: p.only(**{k: v for k, v in p.client(grant="partner").items() if k != "organization"}),
        "credentials",
        "serves many customers",
        "add `organization`",
        True,
    ),
    "a v1 key": (
        lambda p: p.only(kind="harvest-key", label="Key", key=p.keep("key", SECRET)),
        "credentials",
        "1 tenant with a Harvest v1/v2 key",
        "tenants migration",
        False,
    ),
}


# They stop no deployment: later steps, choices made in so many words, and matters of the customers.
NOTES = ("no public address", "no name for the customers", "minting", "a v1 key")


@pytest.mark.parametrize("name", FOUND)
def test_what_is_wrong_is_found_with_a_next_step(name: str, place: Place) -> None:
    """That and nothing else, with the tenant it concerns; the exit status says whether it is a problem."""
    break_it, area, message, next_step, of_the_tenant = FOUND[name]
    break_it(place)
    status, document = place.doctor()
    (finding,) = document["findings"]
    assert (status, finding["severity"]) == ((0, "note") if name in NOTES else (1, "problem"))
    assert finding["area"] == area
    assert message in finding["message"]
    assert next_step in finding["next_step"]
    assert finding["tenant"] == ("acme" if of_the_tenant else None)


def test_wrong_settings_are_an_error(place: Place) -> None:
    """Exit status 2, and the message names the variable."""
    place.set("interval", "soon")
    assert cli.run(["doctor"]) == 2
    said = place.capsys.readouterr()
    assert "HARVEST_MONITOR_INTERVAL" in said.err
    assert said.out == ""


def test_commands_are_run_only_when_asked(place: Place) -> None:
    """Commands not run are counted; those run are judged as in a check, and their output is not shown."""
    place.only(**place.client(token=place.command(f"touch {place.folder}/ran; echo {SECRET} >&2; exit 3")))
    status, document = place.doctor()
    assert (status, document["commands_not_run"], (place.folder / "ran").exists()) == (0, 1, False)
    status, document = place.doctor("--run-commands")
    assert (status, document["commands_not_run"], (place.folder / "ran").exists()) == (1, 0, True)
    assert "ended with status 3" in document["findings"][0]["message"]


def test_people_get_a_table_with_every_next_step(place: Place) -> None:
    """Problems first, then notes; how many credentials of which kind; and which commands were not run."""
    place.tenant("globex", **place.client(token="mint"))
    place.set("mail_from", None)
    place.tenant("initech", **place.client(token=place.command("true")))
    assert cli.run(["doctor"]) == 1
    said = place.capsys.readouterr()
    header, problem, note = (line.split("\t") for line in said.out.splitlines())
    assert header == ["SEVERITY", "AREA", "TENANT", "CREDENTIAL", "FOUND", "NEXT STEP"]
    assert problem[:4] == ["problem", "settings", "", ""]
    assert note[:4] == ["note", "credentials", "globex", "Gem"]
    assert note[5].startswith("use a held token where you can")
    assert said.err.splitlines()[0] == "1 problem, 1 note"
    assert "3 × harvest-oauth, custom; 1 × harvest-oauth, minting" in said.err
    assert "not run: 1 command for secrets" in said.err


def test_keys_of_v1_are_no_finding_while_v1_lives(place: Place) -> None:
    """Up to 31 August 2026. From then on each tenant counts once; those without a v3 credential are counted apart."""
    key = {"kind": "harvest-key", "label": "Key", "key": "env:KEY"}
    place.only(**key)
    place.rows.append({"id": "globex", "name": "G", "credentials": [key, place.client()]})
    (place.folder / "tenants.yaml").write_text(json.dumps({"tenants": place.rows}))
    file = read_tenants_file(place.folder / "tenants.yaml")
    targets = build_targets(file, ManifestRegistry(load("gem")), WriteProbes.OFF)
    assert list(doctor_findings.of_keys(targets, RETIRED_AFTER - timedelta(seconds=1))) == []
    for moment in (RETIRED_AFTER, START):
        (finding,) = doctor_findings.of_keys(targets, moment)
        assert finding.message.startswith("2 tenants with a Harvest v1/v2 key")
        assert "; 1 of them without a v3 credential" in finding.message


@contextmanager
def tls_server(pem: Path) -> Iterator[tuple[str, list[bytes]]]:
    """Its address, and what arrived on each connection after the handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    arrived: list[bytes] = []

    def serve(listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                plain, _ = listening.accept()
                with plain, suppress(ssl.SSLError, ConnectionError), context.wrap_socket(plain, True) as connection:
                    arrived.append(connection.recv(1000))

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=[listening])
        thread.start()
        yield f"https://localhost:{listening.getsockname()[1]}", arrived
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_the_way_to_greenhouse_is_tried_without_a_request(place: Place) -> None:
    """Up to the TLS handshake; what is wrong is named, with authority and name, and only if it is asked for."""
    ours, theirs = Authority.named("Our Authority"), Authority.named("Corp Proxy Authority")
    place.set("ca_bundle", str(ours.write(place.folder / "ours.pem")))
    with (
        tls_server(ours.issue(place.folder / "good.pem")) as (good, arrived),
        tls_server(theirs.issue(place.folder / "foreign.pem")) as (foreign, of_foreign),
    ):
        place.set("harvest_url", good)
        place.set("auth_url", foreign)
        assert place.doctor()[1]["reached"] == {}
        assert arrived == []
        status, document = place.doctor("--network")
        assert document["reached"] == {good: True, foreign: False}
    (finding,) = document["findings"]
    assert (status, finding["severity"], finding["area"]) == (1, "problem", "network")
    assert "is not trusted: issued by Corp Proxy Authority of Example Corp, for localhost" in finding["message"]
    assert finding["next_step"] == "if a proxy opens TLS, its authority belongs into the CA bundle"
    assert (arrived, of_foreign) == ([b""], [])


def test_a_server_that_no_credential_needs_stops_nothing(place: Place) -> None:
    """The auth server, with keys of v1 only."""
    place.only(kind="harvest-key", label="Key", key=place.keep("key", SECRET))
    place.set("auth_url", "http://127.0.0.1:1")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        place.set("harvest_url", f"http://127.0.0.1:{listening.getsockname()[1]}")
        status, document = place.doctor("--network")
    found = [(finding["severity"], finding["message"]) for finding in document["findings"]]
    assert ("note", "127.0.0.1:1 refuses connections") in found
    assert status == 0


def test_modes_that_harm_nobody_are_no_finding(place: Place) -> None:
    """A settings file without a password, a group that may read, and a folder like /tmp."""
    place.settings_file('contact = "ops@vendor.example"', 0o644)
    place.set_database_in(place.folder / "sticky", 0o1777)
    place.keep("secret", SECRET, 0o640)
    place.keep("harvest-monitor.key", "ab" * 32, 0o440)
    assert place.doctor()[0] == 0


def test_a_file_that_root_left_behind_is_found(place: Place) -> None:
    """In a folder of the service's user, who then cannot write it."""
    if os.geteuid() != 0:
        pytest.skip("only root can make files of two users")
    place.set_database_in(place.folder / "service", 0o700)
    os.chown(place.folder / "service", 65534, 65534)
    (finding,) = place.doctor()[1]["findings"]
    assert "which another user made" in finding["message"]
    assert finding["next_step"].startswith("sudo chown --reference=")
    os.chown(place.folder / "service" / "store.sqlite3", 65534, 65534)
    assert place.doctor()[0] == 0


def test_a_proxy_that_fails_for_both_servers_is_found_once(place: Place) -> None:
    """Without its password."""
    place.set("http_proxy", f"http://monitor:{SECRET}@127.0.0.1:1")
    place.set("harvest_url", None)
    place.set("auth_url", None)
    status, document = place.doctor("--network")
    (finding,) = document["findings"]
    assert (status, finding["message"]) == (1, "the proxy http://127.0.0.1:1 refuses connections")
    assert document["reached"] == {"https://harvest.greenhouse.io": False, "https://auth.greenhouse.io": False}
