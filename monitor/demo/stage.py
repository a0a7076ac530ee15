"""The stage of the demo: a folder with settings, tenants and keys, and a sandbox with telling customers."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from checks.manifest import load
from monitor.demo.book import Act, Book, Verb
from monitor.errors import ConfigurationError
from monitor.sandbox.sandbox import Sandbox

LABEL = "Gem Harvest API Key"
SETTINGS = {
    "requests_per_second": 25,
    "interval": "15s",
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
    """One tenant of the demo; `key` says how its key in the sandbox stands when the curtain rises."""

    id: str
    name: str
    csm: str
    story: str
    holds: str = "gem"
    plus: tuple[str, ...] = ()
    minus: tuple[str, ...] = ()
    dead: bool = False


EEOC = ("GET /v1/eeoc", "GET /v1/applications/{id}/eeoc")
CAST = (
    Customer("acme", "Acme Corp", "Dana Reyes", "healthy"),
    Customer("globex", "Globex", "Lee Chan", "will lose one"),
    Customer("initech", "Initech", "Dana Reyes", "will lose three"),
    Customer("hooli", "Hooli", "Ola Nordmann", "lacked one at first sight", minus=("GET /v1/scorecards",)),
    Customer("umbrella", "Umbrella", "Lee Chan", "its key was revoked", dead=True),
    Customer("stark", "Stark", "Dana Reyes", "EEOC without the feature", plus=EEOC),
    Customer("wayne", "Wayne", "Lee Chan", "holds more than it should", plus=("GET /v1/jobs/{id}/hiring_team",)),
    Customer("tyrell", "Tyrell", "Ola Nordmann", "holds all: undecidable", holds="all"),
)


@dataclass(frozen=True, slots=True)
class Stage:
    book: Book
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


def set_up(book: Book) -> Stage:
    """Keys and tenants in the book's folder, and a sandbox that stands where the book ends."""
    stage = Stage(book, Sandbox())
    (stage.folder / "keys").mkdir(mode=0o700, exist_ok=True)
    stage.sandbox.change(None, limit=100_000)
    for customer in CAST:
        _enter(stage, customer)
    rows = [_row(stage, customer) for customer in CAST]
    text = yaml.safe_dump({"tenants": rows}, sort_keys=False, allow_unicode=True, default_flow_style=None, width=110)
    (stage.folder / "tenants.yaml").write_text(text, encoding="utf-8")
    stage.catch_up()
    return stage


def _enter(stage: Stage, customer: Customer) -> None:
    stage.sandbox.add_account(customer.id)
    key = stage.sandbox.add_key(customer.id, customer.holds, label=LABEL)
    key.grant(*customer.plus)
    key.revoke(*customer.minus)
    if customer.dead:
        key.kill()
    file = stage.folder / "keys" / customer.id
    file.touch(mode=0o600)
    file.write_text(key.text + "\n", encoding="ascii")


def _row(stage: Stage, customer: Customer) -> dict[str, object]:
    address = customer.csm.lower().replace(" ", ".") + "@vendor.example"
    return {
        "id": customer.id,
        "name": customer.name,
        "csm": {"name": customer.csm, "email": address},
        "credential": {"kind": "harvest-key", "label": LABEL, "key": f"file:{stage.folder / 'keys' / customer.id}"},
    }


def _endpoint(label: str) -> str:
    endpoint = load("gem").permission(label).endpoint
    if endpoint is None:
        raise ConfigurationError(f"{label} has no endpoint that could be unticked in the sandbox")
    return endpoint
