"""Scenario files, and the documentation page that shows one."""

import re
import textwrap
from pathlib import Path

import pytest
from starlette.routing import Route

from checks.manifest import load
from monitor.errors import ConfigurationError
from monitor.sandbox.control.api import Control
from monitor.sandbox.faults.http import FaultKind
from monitor.sandbox.greenhouse.endpoints import endpoint_names, endpoints
from monitor.sandbox.greenhouse.request_log import AnswerReason
from monitor.sandbox.greenhouse.scopes import scope_names
from monitor.sandbox.greenhouse.settings import NAMED_ORDERS, Retirement, SandboxSettings, steps_of
from monitor.sandbox.sandbox import Sandbox
from monitor.sandbox.scenario import read_scenario
from tests.paths import FIXTURES, ROOT

DOCUMENTATION = (ROOT / "docs" / "sandbox.md").read_text("utf-8")
EXAMPLE = textwrap.dedent(DOCUMENTATION.partition("## Scenario file\n")[2].partition("\n\n")[0]) + "\n"


def section(title: str) -> str:
    return DOCUMENTATION.partition(f"## {title}\n")[2].partition("\n## ")[0]


def rows(title: str) -> list[str]:
    """The first cells of a section's table."""
    return re.findall(r"^\| `([a-z0-9_]+)` \|", section(title), re.M)


def read(tmp_path: Path, text: str) -> Sandbox:
    path = tmp_path / "scenario.yaml"
    path.write_text(text, "utf-8")
    return read_scenario(path)


def test_a_manifest_can_be_ticked(tmp_path: Path) -> None:
    """Another vendor rehearses with its own: all that it names, for keys by endpoint, for v3 clients by scope."""
    lumen = FIXTURES / "manifests" / "lumen.yaml"
    ticked = f"{{from: {lumen}, without: [GET /v1/offices]}}"
    scenario = (
        f"accounts:\n- {{name: acme, key: {{grants: {ticked}}}}}\n- {{name: globex, client: {{scopes: {lumen}}}}}\n"
    )
    sandbox = read(tmp_path, scenario)
    permissions = load(str(lumen)).permissions
    assert sandbox.key("acme").ticked == {p.endpoint for p in permissions if p.endpoint} - {"GET /v1/offices"}
    assert sandbox.client("globex").ticked == {scope for p in permissions for scope in p.scopes}
    with pytest.raises(ConfigurationError, match=r"scenario\.yaml, line 2: there is no manifest 'absent\.yaml'"):
        read(tmp_path, "accounts:\n- {name: acme, key: {grants: absent.yaml}}\n")


def test_a_request_cannot_have_a_file_read() -> None:
    """Only the scenario may name one: the page and the API of a sandbox know the words alone."""
    with pytest.raises(ConfigurationError, match="grants cannot be"):
        endpoint_names("lumen.yaml")
    with pytest.raises(ConfigurationError, match="scopes cannot be"):
        scope_names("lumen.yaml")


def test_the_documented_scenario_works(tmp_path: Path) -> None:
    """The documented example gives the accounts, keys, settings and faults that it shows."""
    sandbox = read(tmp_path, EXAMPLE)
    assert list(sandbox.accounts) == ["acme", "globex", "initech", "hooli", "umbrella"]
    acme, globex = sandbox.key("acme"), sandbox.key("globex", "Gem Harvest API Key")
    assert (acme.text, len(acme.ticked), acme.account.settings.limit) == ("sandbox-acme-1", 62, 50)
    assert (globex.text, len(globex.ticked)) == ("globex-key", 64)
    assert "GET /v1/candidates" not in globex.ticked
    assert (globex.account.settings.order, globex.account.settings.denial_status) == ("lookup_first", 401)
    steps_for = globex.account.settings.steps_for
    assert steps_for(endpoints()["GET /v1/users/{id}"]) == steps_of("permission_last")
    assert steps_for(endpoints()["PATCH /v1/offices/{id}"]) == steps_of("fields,permission,on_behalf_of,record")
    assert [(key.dead, len(key.ticked)) for key in sandbox.keys.of(sandbox.account("initech"))] == [
        (True, 144),
        (False, 2),
    ]
    hooli, umbrella = sandbox.account("hooli"), sandbox.account("umbrella")
    assert (len(sandbox.keys.of(hooli)), len(sandbox.keys.of(umbrella))) == (0, 1)
    client = sandbox.client("hooli")
    assert (client.client_id, client.role) == ("sandbox-hooli-client-1", "Job Admin")
    assert scope_names("gem") - client.ticked == {"harvest:jobs:list"}
    gem, partner = sandbox.clients.of(umbrella)
    assert (gem.client_id, gem.secret, gem.ttl, len(gem.ticked)) == ("umbrella-1", "umbrella-secret", 600, 38)
    assert (partner.grant, partner.mint_revokes, partner.dead, len(partner.ticked)) == ("partner", True, True, 163)
    faults = [each.fault for each in sandbox.faults.active()]
    assert [(fault.kind, fault.account) for fault in faults] == [("slow", "acme"), ("status", None)]
    assert "canary-7f3a" in str(sandbox.account("acme").records.visible("candidates"))


def test_the_smallest_scenario(tmp_path: Path) -> None:
    """An account needs only a name: it then has one key with every permission."""
    sandbox = read(tmp_path, "accounts: [{name: acme}]\n")
    assert len(sandbox.key("acme").ticked) == 144


@pytest.mark.parametrize(
    ("right", "wrong", "line", "words"),
    [
        ("grants: gem}", "grants: gems}", 4, "grants cannot be 'gems': use one of all, none, gem, gem+eeoc"),
        ("GET /v1/candidates", "GET /v1/candidate", 6, "did you mean GET /v1/candidates"),
        ("name: globex", "name: acme", 6, "already an account acme"),
        ("denial_status", "denial", 6, "settings of account globex: denial: is not known here"),
        ("PATCH/rest", "lists", 6, "'lists' is neither a cell"),
        ("order: lookup_first", "order: header", 6, "order: 'header' is neither a check nor an order: use one of perm"),
        ("[name]", "[nam]", 6, "PATCH /v1/departments/{id} does not need 'nam', but name"),
        ("{limit: 50}", "{limit: many}", 2, "settings of all accounts: limit: Input should be a valid integer"),
        ("dead: true", "ded: true", 21, "accounts.2.keys.0.ded: is not known here"),
        ("kind: slow", "kind: earthquake", 31, "faults.0.kind: Input should be 'status', 'wrong_json'"),
        ("account: acme,", "account: acne,", 31, "there is no account 'acne'"),
        ("status: 502", "status: 1", 32, "faults.1.status: Input should be greater"),
        ("harvest:jobs:list", "harvest:job:list", 23, "did you mean harvest:jobs:list"),
        ("scopes: all", "scopes: everything", 25, "scopes cannot be 'everything'"),
        ("grant: partner", "grant: password", 29, "accounts.4.clients.1.grant: Input should be 'custom' or 'partner'"),
        ("client_id: umbrella-1", "client_id: a:b", 25, "the id of the client of account umbrella cannot be sent"),
        ("label: Partner", "label: Gem", 25, "already has a client 'Gem'"),
        ("    clients:\n", "    client: {}\n    clients:\n", 25, "give either client or clients"),
        ("label: New", "label: Old", 19, "already has a key 'Old'"),
        ("    keys:\n", "    key: {}\n    keys:\n", 19, "give either key or keys"),
        ("accounts:", "acounts:", 1, "accounts: Field required"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, right: str, wrong: str, line: int, words: str) -> None:
    """It is refused with file, line and reason."""
    assert right in EXAMPLE
    with pytest.raises(ConfigurationError) as refusal:
        read(tmp_path, EXAMPLE.replace(right, wrong, 1))
    assert f"{tmp_path / 'scenario.yaml'}, line {line}: " in str(refusal.value)
    assert words in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty or not a mapping"),
        ("- acme\n", "is empty or not a mapping"),
        ("accounts: []\n", "accounts: List should have at least 1 item"),
        ("accounts: [\n", "is not YAML"),
        ("accounts: !!python/object/apply:os.getcwd []\n", "is not YAML"),
    ],
)
def test_a_file_that_is_no_scenario_is_refused(tmp_path: Path, text: str, words: str) -> None:
    """Empty files, other shapes, broken YAML, and YAML that would run code."""
    with pytest.raises(ConfigurationError, match=words):
        read(tmp_path, text)


def test_a_missing_or_unreadable_file_is_named(tmp_path: Path) -> None:
    """A file that does not exist or is not text is refused by its name."""
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\xff")
    for name in ("nowhere.yaml", "binary.yaml"):
        with pytest.raises(ConfigurationError, match=f"{name} cannot be read"):
            read_scenario(tmp_path / name)


def test_the_documentation_names_every_setting() -> None:
    """Settings, faults, orders, ways to retire and reasons are in the documentation, and no others."""
    assert rows("Settings of an account") == list(SandboxSettings.model_fields)
    assert set(rows("Faults")) == {kind.value for kind in FaultKind}
    named = re.findall(r"^\| `([a-z_]+)` \| `([a-z_,]+)` \|$", section("How a request goes"), re.M)
    assert dict(named) == NAMED_ORDERS
    retired = next(line for line in section("Settings of an account").splitlines() if line.startswith("| `retired` |"))
    assert re.findall(r"`([0-9a-z-]+)`", retired)[1:] == [each.value for each in Retirement]
    reasons = section("Request log").partition("the reason:")[2].partition("\n\n")[0]
    assert re.findall(r"`([a-z_]+)`", reasons) == [reason.value for reason in AnswerReason]


def test_the_documentation_names_every_call() -> None:
    """The table of the control API has each of its calls, and no others."""
    documented = set(re.findall(r"`(GET|POST) (/[a-z/{}-]*)", section("Control over HTTP")))
    served = {
        (method, route.path.removeprefix("/_sandbox"))
        for route in Control(Sandbox()).routes()
        if isinstance(route, Route) and route.methods
        for method in route.methods - {"HEAD"}
    }
    assert documented == served - {("GET", ""), ("GET", "/")}
