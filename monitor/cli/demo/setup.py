"""What the demo needs: a folder with settings, tenants, keys and tokens, and a sandbox with instructive customers."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from checks.credential import CredentialKind
from checks.manifest import load
from monitor.cli.demo.journal import MAIL, AdminAction, Journal, Verb
from monitor.errors import ConfigurationError
from monitor.sandbox.greenhouse.settings import Retirement
from monitor.sandbox.sandbox import CLIENT_LABEL, Sandbox

LABEL = "Gem Harvest API Key"
A_YEAR = 365 * 86_400
SETTINGS = {
    "requests_per_second": 60,
    "interval": "10s",
    "confirm_after": "2s",
    "retired_after": "4s",
    "settle": "3s",
    "deadline": "15s",
    "request_timeout": "3s",
    "notices": "csm",
    "mail_from": "Harvest Monitor <monitor@vendor.example>",
    "operator_mail": "ops@vendor.example",
    "contact": "ops@vendor.example",
    "vendor_name": "Gem",
    "support_contact": "support@vendor.example",
    "secret_handover": "Paste the client ID and the secret into Gem, under Integration settings › Greenhouse.",
    "tenants_reload": "5s",
    "stop_timeout": "5s",
}
"""Everything that differs from a deployment; docs/settings.md has the defaults."""


@dataclass(frozen=True, slots=True)
class Customer:
    """One tenant of the demo, and the initial state of its key or client in the sandbox.

    `plus` and `minus` are endpoints of a key or scopes of a client; `role` is that of the user its token acts for.
    `declined` are labels that the customer refuses on purpose; `paused` is why a tenant is not checked.
    """

    id: str
    name: str
    csm: str
    situation: str
    ticked: str = "gem"
    plus: tuple[str, ...] = ()
    minus: tuple[str, ...] = ()
    dead: bool = False
    kind: CredentialKind = CredentialKind.HARVEST_KEY
    retired: bool = False
    role: str | None = None
    declined: tuple[str, ...] = ()
    paused: str | None = None


V3 = CredentialKind.HARVEST_OAUTH
SEVERAL = "will lose one, too"
TWO_SCOPES = ("harvest:close_reasons:list", "harvest:tracking_links:list")
EEOC = ("GET /v1/eeoc", "GET /v1/applications/{id}/eeoc")
TENANTS = (
    Customer("acme", "Acme Corp", "Dana Reyes", "healthy"),
    Customer("globex", "Globex", "Lee Chan", "will lose one"),
    Customer("initech", "Initech", "Dana Reyes", "will lose three"),
    Customer("hooli", "Hooli", "Ola Nordmann", "lacked one all along", minus=("GET /v1/scorecards",)),
    Customer("umbrella", "Umbrella", "Lee Chan", "its key was revoked", dead=True),
    Customer("stark", "Stark", "Dana Reyes", "has EEOC, unasked for", plus=EEOC),
    Customer("wayne", "Wayne", "Lee Chan", "has one too many", plus=("GET /v1/jobs/{id}/hiring_team",)),
    Customer("tyrell", "Tyrell", "Ola Nordmann", "has all, so no proof", ticked="all"),
    Customer("weyland", "Weyland", "Ola Nordmann", "its v1 key was retired", retired=True),
    Customer("cyberdyne", "Cyberdyne", "Dana Reyes", "lacks two scopes", kind=V3, minus=TWO_SCOPES),
    Customer("oscorp", "Oscorp", "Lee Chan", "a Job Admin's token", kind=V3, role="Job Admin"),
    Customer("gringotts", "Gringotts", "Ola Nordmann", SEVERAL, kind=V3),
    Customer("soylent", "Soylent", "Dana Reyes", SEVERAL, kind=V3),
    Customer("wonka", "Wonka", "Lee Chan", SEVERAL, kind=V3),
    Customer(
        "nakatomi",
        "Nakatomi",
        "Ola Nordmann",
        "declines one on purpose",
        kind=V3,
        minus=("harvest:candidates:merge",),
        declined=("PUT: Merge two candidates",),
    ),
    Customer("vandelay", "Vandelay", "Dana Reyes", "paused", paused="it changes its HR system: ticket 4711"),
)
CHECKED = tuple(customer for customer in TENANTS if customer.paused is None)


@dataclass(frozen=True, slots=True)
class DemoSetup:
    journal: Journal
    sandbox: Sandbox

    @property
    def folder(self) -> Path:
        return self.journal.folder

    @property
    def config(self) -> Path:
        return self.folder / "harvest-monitor.toml"

    @property
    def database(self) -> Path:
        return self.folder / "harvest-monitor.sqlite3"

    @property
    def log(self) -> Path:
        return self.folder / "service.log"

    @property
    def mail(self) -> Path:
        return self.folder / MAIL

    def point_at(self, url: str, listen: str) -> None:
        """Write the settings, now that the sandbox and the service have an address."""
        settings: Mapping[str, object] = {
            **SETTINGS,
            "harvest_url": url,
            "auth_url": url,
            "listen": listen,
            "public_url": f"http://{listen}",
            "tenants": str(self.folder / "tenants.yaml"),
            "database_url": f"sqlite:///{self.database}",
            "smtp_url": f"mailbox:{self.mail}",
        }
        # Strings and numbers are written the same in JSON and in TOML.
        self.config.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items()), "utf-8")

    def do(self, verb: Verb, tenant_id: str, *labels: str) -> None:
        """Once per demo, however often it is cut off."""
        action = AdminAction(verb, tenant_id, labels)
        if action not in self.journal.actions:
            self.journal.add(action)
            self._carry_out(action)

    def replay(self) -> None:
        """Repeat the journal's actions on a new sandbox: it keeps its state in memory only."""
        for action in self.journal.actions:
            self._carry_out(action)

    def _carry_out(self, action: AdminAction) -> None:
        customer = next(customer for customer in TENANTS if customer.id == action.tenant)
        holder = self.sandbox.client if customer.kind is V3 else self.sandbox.key
        credential = holder(customer.id)
        change = credential.untick if action.verb is Verb.UNTICK else credential.tick
        change(*(name for label in action.labels for name in _ticked_for(customer.kind, label)))


def set_up(journal: Journal) -> DemoSetup:
    """Keys, tokens and tenants in the journal's folder, and a sandbox in which its actions are carried out.

    Requests without a key are answered as if the API were gone: otherwise no key would count as retired.
    """
    setup = DemoSetup(journal, Sandbox())
    (setup.folder / "keys").mkdir(mode=0o700, exist_ok=True)
    # The limit is out of the way: several checks a minute are not what the demo is about.
    setup.sandbox.change(None, limit=100_000, retired=Retirement.GONE_JSON)
    for customer in TENANTS:
        _add_customer(setup, customer)
    rows = [_row(setup, customer) for customer in TENANTS]
    text = yaml.safe_dump({"tenants": rows}, sort_keys=False, allow_unicode=True, default_flow_style=None, width=110)
    (setup.folder / "tenants.yaml").write_text(text, encoding="utf-8")
    setup.replay()
    return setup


def _add_customer(setup: DemoSetup, customer: Customer) -> None:
    """An account with its key or client, and the secrets that the service needs in files that only we can read."""
    setup.sandbox.add_account(customer.id, **({} if customer.retired else {"retired": None}))
    secrets = _client(setup.sandbox, customer) if customer.kind is V3 else _key(setup.sandbox, customer)
    for file, text in zip(_files(setup, customer).values(), secrets, strict=True):
        # Created before it has content: the secret must never be in a file that others can read.
        file.touch(mode=0o600)
        file.write_text(text + "\n", encoding="ascii")


def _key(sandbox: Sandbox, customer: Customer) -> tuple[str]:
    key = sandbox.add_key(customer.id, customer.ticked, label=LABEL)
    key.tick(*customer.plus)
    key.untick(*customer.minus)
    key.dead = customer.dead
    return (key.text,)


def _client(sandbox: Sandbox, customer: Customer) -> tuple[str, str, str]:
    """Nothing renews the token here, as an integration does every hour: it lives longer than any demo."""
    client = sandbox.add_client(customer.id, customer.ticked, role=customer.role, ttl=A_YEAR)
    client.tick(*customer.plus)
    client.untick(*customer.minus)
    return client.client_id, client.secret, client.issue()


def _files(setup: DemoSetup, customer: Customer) -> dict[str, Path]:
    """By the field of the tenants file that refers to it: `keys/acme`, `keys/oscorp.token`."""
    keys = setup.folder / "keys"
    if customer.kind is V3:
        return {field: keys / f"{customer.id}.{field}" for field in ("client_id", "client_secret", "token")}
    return {"key": keys / customer.id}


def _row(setup: DemoSetup, customer: Customer) -> dict[str, object]:
    address = customer.csm.lower().replace(" ", ".") + "@vendor.example"
    on_purpose: dict[str, object] = {}
    if customer.declined:
        on_purpose["declined"] = [{"permission": label, "reference": "ticket 4712"} for label in customer.declined]
    if customer.paused:
        on_purpose["paused"] = {"reference": customer.paused}
    return {
        "id": customer.id,
        "name": customer.name,
        "csm": {"name": customer.csm, "email": address},
        "credential": dict(_credential(setup, customer)),
        **on_purpose,
    }


def _credential(setup: DemoSetup, customer: Customer) -> Iterator[tuple[str, object]]:
    yield "kind", customer.kind.value
    yield "label", CLIENT_LABEL if customer.kind is V3 else LABEL
    for field, file in _files(setup, customer).items():
        yield field, f"file:{file}"
    if customer.kind is V3:
        yield "organization", setup.sandbox.account(customer.id).organization_id


def _ticked_for(kind: CredentialKind, label: str) -> Iterable[str]:
    """What is ticked in the sandbox for a permission: endpoints of a key, scopes of a client."""
    permission = load("gem").permission(label)
    names = permission.scopes if kind is V3 else (permission.endpoint,)
    if not all(names):
        raise ConfigurationError(f"{label} has no endpoint that can be unticked in the sandbox")
    return filter(None, names)
