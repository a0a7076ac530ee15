"""The stage of the demo: a folder with settings, tenants, keys and tokens, and a sandbox with telling customers."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from checks.credential import CredentialKind
from checks.manifest import load
from monitor.cli.demo.journal import Act, Journal, Verb
from monitor.errors import ConfigurationError
from monitor.sandbox.greenhouse.settings import Retirement
from monitor.sandbox.sandbox import CLIENT_LABEL, Sandbox

LABEL = "Gem Harvest API Key"
A_YEAR = 365 * 86_400
SETTINGS = {
    "requests_per_second": 25,
    "interval": "10s",
    "confirm_after": "2s",
    "settle": "3s",
    "deadline": "15s",
    "request_timeout": "3s",
    "notices": "csm",
    "mail_from": "Harvest Monitor <monitor@vendor.example>",
    "operator_mail": "ops@vendor.example",
    "contact": "ops@vendor.example",
    "listen": "127.0.0.1:0",
    "tenants_reload": "5s",
    "stop_timeout": "5s",
}
"""All that tells the demo from a deployment; docs/settings.md says what a deployment has instead."""


@dataclass(frozen=True, slots=True)
class Customer:
    """One tenant of the demo, and how its key or client in the sandbox stands when the curtain rises.

    `plus` and `minus` are endpoints of a key, scopes of a client; `role` is that of the user whom its token acts for.
    """

    id: str
    name: str
    csm: str
    story: str
    holds: str = "gem"
    plus: tuple[str, ...] = ()
    minus: tuple[str, ...] = ()
    dead: bool = False
    kind: CredentialKind = CredentialKind.HARVEST_KEY
    retired: bool = False
    role: str | None = None


V3 = CredentialKind.HARVEST_OAUTH
TWO_SCOPES = ("harvest:close_reasons:list", "harvest:tracking_links:list")
EEOC = ("GET /v1/eeoc", "GET /v1/applications/{id}/eeoc")
TENANTS = (
    Customer("acme", "Acme Corp", "Dana Reyes", "healthy"),
    Customer("globex", "Globex", "Lee Chan", "will lose one"),
    Customer("initech", "Initech", "Dana Reyes", "will lose three"),
    Customer("hooli", "Hooli", "Ola Nordmann", "lacked one at first sight", minus=("GET /v1/scorecards",)),
    Customer("umbrella", "Umbrella", "Lee Chan", "its key was revoked", dead=True),
    Customer("stark", "Stark", "Dana Reyes", "EEOC without the feature", plus=EEOC),
    Customer("wayne", "Wayne", "Lee Chan", "holds more than it should", plus=("GET /v1/jobs/{id}/hiring_team",)),
    Customer("tyrell", "Tyrell", "Ola Nordmann", "holds all: undecidable", holds="all"),
    Customer("weyland", "Weyland", "Ola Nordmann", "its v1 key was retired", retired=True),
    Customer("cyberdyne", "Cyberdyne", "Dana Reyes", "lacked two scopes", kind=V3, minus=TWO_SCOPES),
    Customer("oscorp", "Oscorp", "Lee Chan", "its token: Job Admin's", kind=V3, role="Job Admin"),
)


@dataclass(frozen=True, slots=True)
class DemoSetup:
    book: Journal
    sandbox: Sandbox

    @property
    def folder(self) -> Path:
        return self.book.folder

    @property
    def config(self) -> Path:
        return self.folder / "harvest-monitor.toml"

    @property
    def database(self) -> Path:
        return self.folder / "harvest-monitor.sqlite3"

    @property
    def mail(self) -> Path:
        return self.folder / "mail"

    def point_at(self, url: str) -> None:
        """Write the settings, now that the sandbox has an address."""
        settings: Mapping[str, object] = {
            **SETTINGS,
            "harvest_url": url,
            "auth_url": url,
            "tenants": str(self.folder / "tenants.yaml"),
            "database_url": f"sqlite:///{self.database}",
            "smtp_url": f"mailbox:{self.mail}",
        }
        # JSON's strings and numbers are TOML's too.
        self.config.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items()), "utf-8")

    def do(self, verb: Verb, tenant_id: str, *labels: str) -> None:
        """Once in the life of a demo, however often it is cut off."""
        act = Act(verb, tenant_id, labels)
        if act not in self.book.acts:
            self.book.add(act)
            self._carry_out(act)

    def catch_up(self) -> None:
        """Bring the sandbox to where the book ends."""
        for act in self.book.acts:
            self._carry_out(act)

    def _carry_out(self, act: Act) -> None:
        key = self.sandbox.key(act.tenant)
        change = key.revoke if act.verb is Verb.UNTICK else key.grant
        change(*map(_endpoint, act.labels))


def set_up(book: Journal) -> DemoSetup:
    """Keys, tokens and tenants in the book's folder, and a sandbox that stands where the book ends.

    Requests without a key are answered as if the API were gone: else no key would be taken for retired.
    """
    stage = DemoSetup(book, Sandbox())
    (stage.folder / "keys").mkdir(mode=0o700, exist_ok=True)
    stage.sandbox.change(None, limit=100_000, retired=Retirement.GONE_JSON)
    for customer in TENANTS:
        _enter(stage, customer)
    rows = [_row(stage, customer) for customer in TENANTS]
    text = yaml.safe_dump({"tenants": rows}, sort_keys=False, allow_unicode=True, default_flow_style=None, width=110)
    (stage.folder / "tenants.yaml").write_text(text, encoding="utf-8")
    stage.catch_up()
    return stage


def _enter(stage: DemoSetup, customer: Customer) -> None:
    """An account with its key or client, and what the service is to know of it in files that only we can read."""
    stage.sandbox.add_account(customer.id, **({} if customer.retired else {"retired": None}))
    held = _client(stage.sandbox, customer) if customer.kind is V3 else _key(stage.sandbox, customer)
    for file, text in zip(_files(stage, customer).values(), held, strict=True):
        file.touch(mode=0o600)
        file.write_text(text + "\n", encoding="ascii")


def _key(sandbox: Sandbox, customer: Customer) -> tuple[str]:
    key = sandbox.add_key(customer.id, customer.holds, label=LABEL)
    key.grant(*customer.plus)
    key.revoke(*customer.minus)
    if customer.dead:
        key.kill()
    return (key.text,)


def _client(sandbox: Sandbox, customer: Customer) -> tuple[str, str, str]:
    """Nobody renews the token, as an integration does every hour: it lives for longer than any demo."""
    client = sandbox.add_client(customer.id, customer.holds, role=customer.role, ttl=A_YEAR)
    client.grant_scope(*customer.plus)
    client.revoke_scope(*customer.minus)
    return client.client_id, client.secret, client.issue()


def _files(stage: DemoSetup, customer: Customer) -> dict[str, Path]:
    """By the field of the tenants file that refers to it: `keys/acme`, `keys/oscorp.token`."""
    keys = stage.folder / "keys"
    if customer.kind is V3:
        return {field: keys / f"{customer.id}.{field}" for field in ("client_id", "client_secret", "token")}
    return {"key": keys / customer.id}


def _row(stage: DemoSetup, customer: Customer) -> dict[str, object]:
    address = customer.csm.lower().replace(" ", ".") + "@vendor.example"
    return {
        "id": customer.id,
        "name": customer.name,
        "csm": {"name": customer.csm, "email": address},
        "credential": dict(_credential(stage, customer)),
    }


def _credential(stage: DemoSetup, customer: Customer) -> Iterator[tuple[str, object]]:
    yield "kind", customer.kind.value
    yield "label", CLIENT_LABEL if customer.kind is V3 else LABEL
    for field, file in _files(stage, customer).items():
        yield field, f"file:{file}"
    if customer.kind is V3:
        yield "organization", stage.sandbox.account(customer.id).organization_id


def _endpoint(label: str) -> str:
    endpoint = load("gem").permission(label).endpoint
    if endpoint is None:
        raise ConfigurationError(f"{label} has no endpoint that could be unticked in the sandbox")
    return endpoint
