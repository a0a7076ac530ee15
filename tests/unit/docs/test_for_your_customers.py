"""docs/for-your-customers.md lists every possible request, and how we treat a customer's Greenhouse."""

import re

from checks.catalogue.endpoints import catalogue
from checks.catalogue.entry import Entry, Role, WriteProbes
from checks.manifest import load
from checks.v3.gate import INTROSPECT, MINT, lists
from monitor.config.settings import Settings
from monitor.version import user_agent
from tests.paths import ROOT

PAGE = (ROOT / "docs" / "for-your-customers.md").read_text("utf-8")
CATALOGUE = catalogue()
LABELS = {p.endpoint: f"{p.group} › {p.label}" for p in load("gem").permissions}
SENT = {
    (Role.PROBE, WriteProbes.OFF): "always",
    (Role.CONTROL, WriteProbes.OFF): "as a control",
    (Role.PROBE, WriteProbes.SAFE): "with `safe`",
    (Role.CONTROL, WriteProbes.SAFE): "with `safe`, as a control",
    (Role.PROBE, WriteProbes.ALL): "with `all` only",
    (Role.ANONYMOUS, WriteProbes.OFF): "without a credential",
}


def row(entry: Entry) -> tuple[str, ...]:
    """What the page must say about a request, cell by cell."""
    request = f"`{entry.method} {entry.target}`"
    about = LABELS.get(entry.endpoint, entry.title) if entry.role is not Role.ANONYMOUS else "whether the API is there"
    sent = SENT[entry.role, entry.needs]
    if not entry.is_write:
        return request, about, sent
    body = f"`{entry.body.decode()}`" if entry.body else "none"
    return request, body, about, in_words(entry.guards), sent


def in_words(guards: str) -> str:
    missing = re.search(r"B\((\d)\)", guards)
    fields = f"{missing[1]} required field{'' if missing[1] == '1' else 's'} missing" if missing else ""
    words = ["id 0" if "Z" in guards else "", "no On-Behalf-Of" if "H" in guards else "", fields]
    return ", ".join(filter(None, words))


def section(heading: str) -> str:
    return PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def documented() -> list[tuple[str, ...]]:
    """The rows of the page that begin with a request line."""
    lines = [line for line in section("Every request").splitlines() if re.match(r"\| `[A-Z]+ /", line)]
    return [tuple(cell.strip() for cell in line.strip("|").split(" | ")) for line in lines]


def test_the_page_lists_exactly_the_catalogued_requests() -> None:
    """Each once, with body, purpose, guards and when it is sent."""
    assert sorted(documented()) == sorted(map(row, CATALOGUE.all_entries()))


def test_the_page_lists_exactly_the_requests_that_are_never_sent() -> None:
    """The page's never-list is that of the catalogue."""
    named = re.findall(r"`([A-Z]+ /[^`]+)`", section("What is never sent"))
    assert sorted(named) == sorted(rule.endpoint for rule in CATALOGUE.never)


def test_the_page_lists_exactly_the_requests_of_harvest_v3() -> None:
    """Two requests to the auth server, and lists of which one record is read."""
    found = re.findall(r"^\| `([A-Z]+ /[^`]+)`", section("If your credential is one of Harvest v3"), re.M)
    lists_read = "GET /v3/…?per_page=1"
    assert sorted(found) == sorted([INTROSPECT.endpoint, MINT.endpoint, lists_read])
    assert all(re.fullmatch(r"/v3/[a-z_]+\?per_page=1", entry.target) for entry in lists().values())
    default = {name: field.default for name, field in Settings.model_fields.items()}
    assert f"`{default['auth_url']}`" in PAGE


def test_the_page_states_the_default_settings() -> None:
    """Interval, rate, server and User-Agent are what a customer sees unless the operator changed them."""
    default = {name: field.default for name, field in Settings.model_fields.items()}
    assert f"| how often | every {default['interval'].total_seconds() / 3600:.0f} hours, " in PAGE
    assert f"| how fast | {default['requests_per_second']} a second, " in PAGE
    assert f"| to where | `{default['harvest_url']}` " in PAGE
    assert f"`User-Agent: {user_agent('ops@vendor.example')}`" in PAGE
    assert default["write_probes"] is WriteProbes.OFF
    assert "Write probes are off unless" in PAGE
