"""Anything wrong with a v3 credential, or with answers about it, ends in a state, a next step and no secret."""

import base64
import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from checks.catalogue.scopes import known
from checks.manifest import load
from checks.reasons import REASONS
from monitor import cli
from monitor.config.settings import PREFIX, Settings
from monitor.sandbox.faults.http import Fault
from monitor.sandbox.greenhouse.request import SandboxRequest
from monitor.sandbox.sandbox import Sandbox, SandboxAnswer
from tests.background_server import background_sandbox

PERSON = "Canarynia"
TENANT, ACCOUNT = "acme", "zanzibar77"


class ChangingSandbox(Sandbox):
    """A sandbox that runs a function right after the next answer at a path."""

    def __init__(self) -> None:
        super().__init__(marker=PERSON)
        self.after: dict[str, Callable[[], object]] = {}

    def handle(self, request: SandboxRequest) -> SandboxAnswer:
        outcome = super().handle(request)
        self.after.pop(request.path, lambda: None)()
        return outcome


@dataclass
class CredentialCase:
    """A tenant whose client has every scope and a valid token; each row of the table breaks something."""

    folder: Path
    sandbox: ChangingSandbox
    credential: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def client(self) -> Any:
        return self.sandbox.client(ACCOUNT)

    def write(self, what: str, content: str | bytes) -> None:
        raw = content if isinstance(content, bytes) else content.encode()
        (self.folder / what).write_bytes(raw)
        (self.folder / what).chmod(0o600)

    def secrets(self) -> list[bytes]:
        """What is in the files, and what the auth server knows of people; also encoded as in a Basic header."""
        read = [part for p in self.folder.glob("credential-*") for part in re.split(rb"[^!-~]+", p.read_bytes())]
        pair = base64.b64encode(b":".join((self.folder / f"credential-{w}").read_bytes() for w in ("id", "secret")))
        known = [PERSON.encode(), self.sandbox.account(ACCOUNT).organization_name.encode(), pair]
        known += [self.client.client_id.encode(), self.client.secret.encode()]
        return [secret for secret in (*read, *known) if len(secret) > 5]

    def fault(self, **facts: Any) -> None:
        self.sandbox.add_fault(Fault.model_validate(facts))


def hold(case: CredentialCase, content: str | bytes) -> None:
    case.write("credential-token", content)


def another(case: CredentialCase) -> Any:
    case.sandbox.add_account("globex")
    return case.sandbox.add_client("globex")


def swap_credentials(case: CredentialCase) -> None:
    """The three files contain another customer's credential."""
    other = another(case)
    for what, text in (("id", other.client_id), ("secret", other.secret), ("token", other.issue())):
        case.write(f"credential-{what}", text)


def swap_id_and_secret(case: CredentialCase) -> None:
    case.write("credential-id", case.client.secret)
    case.write("credential-secret", case.client.client_id)


def mint(case: CredentialCase) -> None:
    case.credential["token"] = "mint"


def mint_without_scopes(case: CredentialCase) -> None:
    mint(case)
    case.client.tick_only("none")


def mint_with(**fault: Any) -> Callable[[CredentialCase], None]:
    def break_it(case: CredentialCase) -> None:
        mint(case)
        case.fault(prefix="/token", **fault)

    return break_it


def as_partner_who_mints(case: CredentialCase) -> None:
    mint(case)
    case.client.grant = "partner"


def introspected(**facts: Any) -> Callable[[CredentialCase], None]:
    """Introspection always answers with these facts."""

    def break_it(case: CredentialCase) -> None:
        about = {"active": True, "client_id": case.client.client_id, "organization": {"id": 0}} | facts
        if about["organization"] == {"id": 0}:
            about["organization"] = {"id": case.sandbox.account(ACCOUNT).organization_id, "name": PERSON}
        case.fault(kind="wrong_json", prefix="/introspect", text=json.dumps(about))

    return break_it


def told_in_other_words(case: CredentialCase) -> None:
    number = case.sandbox.account(ACCOUNT).organization_id
    end = int(time.time() + 3600) * 1000
    introspected(organization=PERSON, organization_id=number, exp=end, scope=REQUIRED)(case)


def told_as_ended(case: CredentialCase) -> None:
    introspected(exp=str(int(time.time() - 3600)), scope=REQUIRED)(case)


def lists_refused_by_a_gateway(case: CredentialCase) -> None:
    """Introspection names no scopes, and of the lists only departments are let through."""
    introspected(scope=None)(case)
    for name in sorted(known()):
        if known()[name].list is not None and name != "harvest:departments:list":
            path = f"/v3/{name.split(':')[1]}"
            case.fault(kind="wrong_json", status=403, prefix=path, text='{"message": "blocked"}')


def after_minting(**times: int) -> Callable[[CredentialCase], None]:
    def spoil(case: CredentialCase) -> None:
        mint(case)
        case.fault(kind="wrong_json", status=401, prefix="/introspect", text='{"error": "invalid_client"}', **times)

    return spoil


def refused_in_a_header(case: CredentialCase) -> None:
    case.sandbox.change(ACCOUNT, challenges=True)
    case.fault(kind="wrong_json", prefix="/introspect", text="{}")
    case.sandbox.after["/introspect"] = case.client.revoke_tokens


def wrong_secret_and_dead_token(case: CredentialCase) -> None:
    case.write("credential-secret", "quite-another-secret")
    case.client.revoke_tokens()


def wrong_secret_and_no_lists(case: CredentialCase) -> None:
    case.write("credential-secret", "quite-another-secret")
    case.fault(kind="reset", prefix="/v3")


def introspection_fault(**facts: Any) -> Callable[[CredentialCase], None]:
    return lambda case: case.fault(prefix="/introspect", **facts)


def after_introspection(change: Callable[[CredentialCase], object]) -> Callable[[CredentialCase], None]:
    return lambda case: case.sandbox.after.update({"/introspect": lambda: change(case)})


def anybodys(break_it: Callable[[CredentialCase], object]) -> Callable[[CredentialCase], None]:
    """The same, if the tenants file does not name the token's organization."""

    def break_for_anybody(case: CredentialCase) -> None:
        del case.credential["organization"]
        break_it(case)

    return break_for_anybody


def no_auth_server(case: CredentialCase) -> None:
    case.settings["AUTH_URL"] = "http://127.0.0.1:1"


def no_auth_server_to_mint(case: CredentialCase) -> None:
    mint(case)
    no_auth_server(case)


MANY = " ".join(f"harvest:things_{number}:list" for number in range(200_000))
UNKNOWN = {"a": [1], "nested": {"b": None}, "user_role": {"odd": 1}, "exp": "soon", "aud": ["x"], "iat": -1}
GEM = "the scopes of Gem"
REQUIRED = " ".join(sorted({name for permission in load("gem").applying_to([]) for name in permission.scopes}))

# What is broken · state, detail, outcome and exit status · words that people read about it.
TABLE: dict[str, tuple[Callable[[CredentialCase], object], tuple[str, str, str, int], str]] = {
    "nothing": (lambda c: None, ("ok", "", "compliant", 0), "0 missing"),
    "token file with newlines at the end": (
        lambda c: hold(c, c.client.issue() + "\r\n\n"),
        ("ok", "", "compliant", 0),
        "0 missing",
    ),
    "token file empty": (
        lambda c: hold(c, ""),
        ("unreachable", "secret_source", "failed", 3),
        "if it stays empty, write the secret into it",
    ),
    "token file with only white space": (
        lambda c: hold(c, " \n"),
        ("unreachable", "secret_source", "failed", 3),
        "if it stays empty, write the secret into it",
    ),
    "token file gone": (
        lambda c: (c.folder / "credential-token").unlink(),
        ("misconfigured", "misconfigured", "failed", 2),
        "correct the path",
    ),
    "a whole answer in the token file": (
        lambda c: hold(c, json.dumps({"access_token": c.client.issue()})),
        ("misconfigured", "misconfigured", "failed", 2),
        "store the token itself and nothing else",
    ),
    "JSON without a blank in the token file": (
        lambda c: hold(c, f'{{"access_token":"{c.client.issue()}"}}'),
        ("misconfigured", "misconfigured", "failed", 2),
        "store the token itself and nothing else",
    ),
    "token in quotes": (
        lambda c: hold(c, f'"{c.client.issue()}"'),
        ("misconfigured", "misconfigured", "failed", 2),
        "store the token itself and nothing else",
    ),
    "token behind Bearer": (
        lambda c: hold(c, f"Bearer {c.client.issue()}"),
        ("misconfigured", "misconfigured", "failed", 2),
        "store the token itself and nothing else",
    ),
    "secret in quotes": (
        lambda c: c.write("credential-secret", f"'{c.client.secret}'"),
        ("misconfigured", "misconfigured", "failed", 2),
        "store the client secret itself and nothing else",
    ),
    "the token as secret": (
        lambda c: c.write("credential-secret", c.client.issue()),
        ("misconfigured", "misconfigured", "failed", 2),
        "the client secret is a token",
    ),
    "a line of a dotenv file as secret": (
        lambda c: c.write("credential-secret", f"CLIENT_SECRET={c.client.secret}"),
        ("misconfigured", "misconfigured", "failed", 2),
        "the name of a variable before it",
    ),
    "what Basic sends as secret": (
        lambda c: c.write(
            "credential-secret", base64.b64encode(f"{c.client.client_id}:{c.client.secret}".encode()).decode()
        ),
        ("misconfigured", "misconfigured", "failed", 2),
        "client id and secret, encoded in base64",
    ),
    "client id and secret swapped": (
        swap_id_and_secret,
        ("misconfigured", "misconfigured", "failed", 2),
        "exchange what the two references hold",
    ),
    "the secret in the token file": (
        lambda c: hold(c, c.client.secret),
        ("misconfigured", "misconfigured", "failed", 2),
        "the client secret and the token are the same text",
    ),
    "token expired": (
        lambda c: hold(c, c.client.issue(now=time.time() - 7200)),
        ("unreachable", "token_stale", "failed", 3),
        "fix what supplies it",
    ),
    "token revoked": (
        lambda c: c.client.revoke_tokens(),
        ("unreachable", "token_inactive", "failed", 3),
        "supply the newest",
    ),
    "token of another client": (
        lambda c: hold(c, another(c).issue()),
        ("unreachable", "token_inactive", "failed", 3),
        "supply the newest",
    ),
    "token said to be another client's": (
        introspected(client_id="another-7", scope=GEM),
        ("misconfigured", "foreign_client", "failed", 2),
        "correct the reference",
    ),
    "credential of another customer": (
        swap_credentials,
        ("misconfigured", "foreign_organization", "failed", 2),
        "correct the reference",
    ),
    "token revoked during the check": (
        after_introspection(lambda c: c.client.revoke_tokens()),
        ("unreachable", "token_refused", "failed", 3),
        "supply the newest",
    ),
    "scope withdrawn during the check": (
        after_introspection(lambda c: c.client.tick_only(["harvest:candidates:create"])),
        ("ok", "", "undecided", 3),
        "check again with a new one",
    ),
    "introspection in HTML": (anybodys(introspection_fault(kind="html")), ("ok", "", "compliant", 0), "unchecked"),
    "introspection broken": (
        anybodys(introspection_fault(kind="status", status=500)),
        ("ok", "", "compliant", 0),
        "unchecked",
    ),
    "introspection refused": (
        anybodys(introspection_fault(kind="status", status=403)),
        ("ok", "", "compliant", 0),
        "unchecked",
    ),
    "introspection cut off": (anybodys(introspection_fault(kind="truncated")), ("ok", "", "compliant", 0), "unchecked"),
    "introspection that says nothing": (
        anybodys(introspection_fault(kind="wrong_json", text="{}")),
        ("ok", "", "compliant", 0),
        "unchecked",
    ),
    "introspection without scopes": (introspected(scope=None), ("ok", "", "compliant", 0), "unchecked"),
    "introspection with unknown fields": (
        introspected(**UNKNOWN),
        ("ok", "", "undecided", 3),
        "a role whose name is not known",
    ),
    "introspection with 200,000 scopes": (anybodys(introspected(scope=MANY)), ("ok", "", "compliant", 0), "unchecked"),
    "introspection in odd spacing": (
        lambda c: c.sandbox.change(ACCOUNT, introspected_scope="odd_spacing"),
        ("ok", "", "undecided", 3),
        "not wholly understood",
    ),
    "introspection that states the role twice": (
        lambda c: c.sandbox.change(ACCOUNT, introspected_claims="contradicting"),
        ("ok", "", "undecided", 3),
        "say the opposite of each other",
    ),
    "introspection in milliseconds, with the customer's name beside its number": (
        told_in_other_words,
        ("ok", "", "compliant", 0),
        "0 missing",
    ),
    "introspection of a token that has ended, and is active": (
        told_as_ended,
        ("ok", "", "undecided", 3),
        "say the opposite of each other",
    ),
    "lists refused by a gateway in JSON": (
        lists_refused_by_a_gateway,
        ("ok", "", "undecided", 3),
        "refused without the rate limit that Greenhouse's answers state",
    ),
    "a client unknown to introspection, once, right after its token was issued": (
        after_minting(times=1),
        ("ok", "", "compliant", 0),
        "0 missing",
    ),
    "a client unknown to introspection right after its token was issued": (
        after_minting(),
        ("unreachable", "contradicted", "failed", 3),
        "served and refused in one check",
    ),
    "token refused in a header alone": (
        anybodys(refused_in_a_header),
        ("unreachable", "token_refused", "failed", 3),
        "does not accept the token",
    ),
    "introspection that names no organization": (
        lambda c: c.sandbox.change(ACCOUNT, introspected_claims="absent"),
        ("ok", "", "undecided", 3),
        "does not say whose token this is",
    ),
    "secret outside ASCII": (
        lambda c: c.write("credential-secret", "geheimnisvöll"),
        ("misconfigured", "misconfigured", "failed", 2),
        "outside ASCII",
    ),
    "client id outside ASCII": (
        lambda c: c.write("credential-id", "kundenschlüssel-1"),
        ("misconfigured", "misconfigured", "failed", 2),
        "outside ASCII",
    ),
    "a colon in the client id": (
        lambda c: c.write("credential-id", "client:secret-1"),
        ("misconfigured", "misconfigured", "failed", 2),
        "store the client id itself and nothing else",
    ),
    "an email address as client id": (
        lambda c: c.write("credential-id", "dana.reyes@customer.example"),
        ("misconfigured", "malformed_client", "failed", 2),
        "correct what its reference holds",
    ),
    "wrong secret": (
        lambda c: c.write("credential-secret", "quite-another-secret"),
        ("misconfigured", "secret_refused", "failed", 2),
        "store the present secret",
    ),
    "wrong secret, and no organization in the tenants file": (
        anybodys(lambda c: c.write("credential-secret", "quite-another-secret")),
        ("misconfigured", "secret_refused", "failed", 2),
        "store the present secret",
    ),
    "wrong secret and dead token": (
        wrong_secret_and_dead_token,
        ("invalid", "invalid_client", "failed", 1),
        "check what the references hold",
    ),
    "wrong secret, and the lists out of reach": (
        wrong_secret_and_no_lists,
        ("unreachable", "unconfirmed_client", "failed", 3),
        "check what the references hold",
    ),
    "client disabled": (
        lambda c: c.client.kill(),
        ("invalid", "invalid_client", "failed", 1),
        "check what the references hold",
    ),
    "no scope, with minting": (
        mint_without_scopes,
        ("invalid", "no_scopes", "failed", 1),
        "under Manage scopes",
    ),
    "no scope, with a held token": (
        lambda c: c.client.tick_only("none"),
        ("invalid", "no_scopes", "failed", 1),
        "under Manage scopes",
    ),
    "a partner's client, with minting": (
        as_partner_who_mints,
        ("misconfigured", "grant_refused", "failed", 2),
        "supply one instead, as a partner's client must",
    ),
    "too many tokens requested": (
        mint_with(kind="rate_limited", seconds=1),
        ("unreachable", "rate_limited", "failed", 3),
        "the rate limit",
    ),
    "too many tokens requested, once": (
        mint_with(kind="rate_limited", seconds=1, times=1),
        ("ok", "", "compliant", 0),
        "0 missing",
    ),
    "an empty new token": (
        mint_with(kind="wrong_json", text='{"access_token": ""}'),
        ("unreachable", "no_usable_answer", "failed", 3),
        "none of the API's",
    ),
    "auth server unreachable": (anybodys(no_auth_server), ("ok", "", "compliant", 0), "unchecked"),
    "auth server unreachable, with an organization in the tenants file": (
        no_auth_server,
        ("unreachable", "connection_refused", "failed", 3),
        "refuses connections",
    ),
    "introspection in HTML, with an organization in the tenants file": (
        introspection_fault(kind="html"),
        ("unreachable", "no_usable_answer", "failed", 3),
        "none of the API's",
    ),
    "introspection without scopes and organization": (
        introspected(scope=None, organization=None),
        ("unreachable", "organization_untold", "failed", 3),
        "nothing says whose token",
    ),
    "auth server unreachable, with minting": (
        no_auth_server_to_mint,
        ("unreachable", "connection_refused", "failed", 3),
        "refuses connections",
    ),
    "API unreachable": (
        lambda c: c.fault(kind="reset", prefix="/v3"),
        ("unreachable", "connection_closed", "failed", 3),
        "was closed before",
    ),
}
UNREADABLE = ["commas", "semicolons", "quoted", "escaped", "upper_case", "urls", "cut_off", "joined_list", "objects"]
for shape in [*UNREADABLE, "twice"]:
    TABLE[f"scopes as {shape}"] = (
        lambda c, shape=shape: c.sandbox.change(ACCOUNT, introspected_scope=shape),  # type: ignore[misc]
        ("ok", "", "undecided", 3),
        "not wholly understood",
    )


@pytest.fixture
def case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, _migrated_file: Path) -> Iterator[CredentialCase]:
    sandbox = ChangingSandbox()
    account = sandbox.add_account(ACCOUNT, v3_limit=1_000_000)
    client = sandbox.add_client(ACCOUNT, client_id="8xF3kQzzTop-12", secret="s3cret-of-the-client")
    made = CredentialCase(tmp_path, sandbox)
    for what, text in (("id", client.client_id), ("secret", client.secret), ("token", client.issue())):
        made.write(f"credential-{what}", text)
    made.credential = {
        "kind": "harvest-oauth",
        "label": "Gem",
        "client_id": f"file:{tmp_path}/credential-id",
        "client_secret": f"file:{tmp_path}/credential-secret",
        "token": f"file:{tmp_path}/credential-token",
        "organization": str(account.organization_id),
    }
    (tmp_path / "store.sqlite3").write_bytes(_migrated_file.read_bytes())
    for name in Settings.model_fields:
        monkeypatch.delenv(f"{PREFIX}{name.upper()}", raising=False)
    with background_sandbox(sandbox) as url:
        made.settings = {
            "HARVEST_URL": url,
            "AUTH_URL": url,
            "DATABASE_URL": f"sqlite:///{tmp_path}/store.sqlite3",
            "TENANTS": f"{tmp_path}/tenants.yaml",
            "REQUESTS_PER_SECOND": "0",
            "CONFIRM_AFTER": "0",
            "LOG_LEVEL": "debug",
        }
        yield made


def enter(case: CredentialCase, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tenants file and the settings, as the case has them now."""
    row = {"id": TENANT, "name": "Acme", "csm": {"name": "D", "email": "d@v.example"}, "credential": case.credential}
    (case.folder / "tenants.yaml").write_text(yaml.safe_dump({"tenants": [row]}))
    for variable, value in case.settings.items():
        monkeypatch.setenv(f"HARVEST_MONITOR_{variable}", value)


@pytest.mark.parametrize("name", TABLE)
def test_each_ends_in_a_state_with_words_and_without_a_secret(
    name: str, case: CredentialCase, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Looked at and recorded with JSON, then told to people: the same end, and no secret in output, log or database."""
    spoil, (state, detail, outcome, status), words = TABLE[name]
    spoil(case)
    enter(case, monkeypatch)
    secrets = case.secrets()

    assert cli.run(["check", "--record", "--json"]) == status
    as_json = capsys.readouterr()
    (check,) = json.loads(as_json.out)["checks"]
    assert (check["credential"]["state"], check["credential"]["detail"], check["outcome"]) == (state, detail, outcome)
    assert not [p for p in check["permissions"] if p["verdict"] == "missing"]

    cli.run(["check"])
    printed = capsys.readouterr()
    reasons = {REASONS[p["reason"]] for p in check["permissions"]}  # as people read them
    assert words in printed.out + printed.err + " ".join(reasons)
    assert case.sandbox.request_log.change_count == 0
    everything = [text.encode() for text in (as_json.out, as_json.err, printed.out, printed.err)]
    everything += [path.read_bytes() for path in case.folder.glob("store.sqlite3*")]
    for secret in secrets:
        assert not [text for text in everything if secret in text], secret


def test_without_introspection_a_recorded_check_knows_what_was_read_before(
    case: CredentialCase, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A list that one check read and the next may not is missing; without the record nothing is known of it."""

    def missing(*arguments: str) -> set[str]:
        cli.run(["check", "--json", *arguments])
        (check,) = json.loads(capsys.readouterr().out)["checks"]
        return {scope for p in check["permissions"] if p["verdict"] == "missing" for scope in p["scopes"]}

    case.sandbox.change(ACCOUNT, introspected_scope="absent")
    enter(case, monkeypatch)
    assert missing("--record") == set()
    case.client.untick("harvest:jobs:list")
    assert missing() == set()
    assert missing("--record") == {"harvest:jobs:list"}
    assert missing("--record") == {"harvest:jobs:list"}
    case.write("credential-secret", case.client.rotate_secret())
    assert missing("--record") == set()
