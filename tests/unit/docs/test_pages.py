"""What README and docs name is there: pages, settings, metrics, messages; and their examples work."""

import re
from pathlib import Path

import pytest
import yaml

from checks.catalogue.endpoints import WriteProbes
from checks.manifest import load as load_manifest
from monitor.config import settings as settings_module
from monitor.config.addresses import MailServer
from monitor.config.secret_command import TENANT_VARIABLE
from monitor.config.settings import PREFIX, Settings
from monitor.tenants import file as tenants
from monitor.tenants.manifests import ManifestRegistry
from monitor.tenants.targets import draw_up
from tests.cases import for_each
from tests.paths import ROOT

README = ROOT / "README.md"
PAGES = [README, ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
SOURCE = "".join(file.read_text("utf-8") for part in ("checks", "monitor") for file in (ROOT / part).rglob("*.py"))


def examples(language: str) -> list[str]:
    """The blocks of README in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README.read_text("utf-8"), re.M | re.S)


def headings(page: Path) -> set[str]:
    """The headings as links name them: lower case, dashes for blanks, no punctuation."""
    found = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.M)
    return {re.sub(r"[^\w -]", "", text.lower()).replace(" ", "-") for text in found}


@for_each(PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    """A relative link names a file of the project, and a heading in it if it names one."""
    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.read_text("utf-8")):
        path, _, heading = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_relative_to(ROOT), link
        assert target.exists(), link
        assert not heading or heading in headings(target), link


def test_readme_leads_to_every_page() -> None:
    """No page of docs/ is left unfound."""
    linked = set(re.findall(r"\]\((docs/[^)#]+)\)", README.read_text("utf-8")))
    assert {str(page.relative_to(ROOT)) for page in (ROOT / "docs").glob("*.md")} <= linked


@for_each(PAGES, ids=lambda page: page.name)
def test_every_variable_is_a_setting(page: Path) -> None:
    """A variable that a page names is one the service reads, or the one that it gives to commands."""
    named = re.findall(rf"{PREFIX}[A-Z]+(?:_[A-Z]+)*", page.read_text("utf-8"))
    known = {PREFIX + name.upper() for name in [*Settings.model_fields, "config"]}
    assert set(named) <= known | {TENANT_VARIABLE}


@for_each(PAGES, ids=lambda page: page.name)
def test_every_metric_is_exported(page: Path) -> None:
    """A metric that a page names stands in docs/metrics.md, which another test holds to the code."""
    known = re.findall(r"^\| `(harvest_monitor_\w+)`", (ROOT / "docs" / "metrics.md").read_text("utf-8"), re.M)
    assert known
    assert set(re.findall(r"\bharvest_monitor_[a-z_]+", page.read_text("utf-8"))) <= set(known)


def test_messages_that_readme_explains_are_in_the_code() -> None:
    """Whoever searches README for what the command said finds it."""
    rows = README.read_text("utf-8").split("\n| it says | then |\n")[1].split("\n\n")[0].splitlines()[1:]
    quoted = [message for row in rows for message in re.findall(r"`([^`]+)`", row.split(" | ")[0])]
    assert len(quoted) > 5
    assert [message for message in quoted if message not in SOURCE] == []


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands for /etc and /var/lib in README's examples, and no settings of the tester's own."""
    for name in Settings.model_fields:
        monkeypatch.delenv(PREFIX + name.upper(), raising=False)
    monkeypatch.setenv(f"{PREFIX}CONFIG", str(tmp_path / "harvest-monitor.toml"))
    (tmp_path / "smtp-url").write_text("smtp://user:p-of-an-example@mail.vendor.example:587\n", "ascii")
    (tmp_path / "smtp-url").chmod(0o600)
    return tmp_path


def settings_of(folder: Path, *parts: str) -> Settings:
    text = re.sub(r"/(etc|var/lib)/harvest-monitor/", f"{folder}/", "".join(parts))
    (folder / "harvest-monitor.toml").write_text(text, "utf-8")
    return settings_module.load()


def test_readmes_settings_are_enough_to_serve(here: Path) -> None:
    """Its first part is enough to check with, both parts together to serve with mail; nothing is left to warn of."""
    first, second = examples("toml")
    assert settings_of(here, first).write_probes is WriteProbes.SAFE

    both = settings_of(here, first, second)
    assert both.problems_for_serving() == both.warnings_for_serving() == []
    assert isinstance(both.mail_target, MailServer)


def test_readmes_tenants_file_can_be_used(tmp_path: Path) -> None:
    """Every row is right; the setting allows safe write probes, and a tenant lowers them as README says."""
    (text,) = [block for block in examples("yaml") if block.startswith("tenants:")]
    (tmp_path / "tenants.yaml").write_text(text, "utf-8")
    roster = draw_up(tenants.read(tmp_path / "tenants.yaml"), ManifestRegistry(load_manifest("gem")), WriteProbes.SAFE)
    assert roster.file.problems == ()
    permitted = {tenant_id: watched.permitted for (tenant_id, _), watched in roster.watched.items()}
    assert permitted == {"acme": WriteProbes.SAFE, "globex": WriteProbes.OFF}


def test_readmes_credential_of_harvest_v3_can_be_used(tmp_path: Path) -> None:
    """The one whose token comes from a command is right as it stands."""
    (text,) = [block for block in examples("yaml") if block.startswith("credential:")]
    row = {"id": "initech", "name": "Initech", **yaml.safe_load(text)}
    (tmp_path / "tenants.yaml").write_text(yaml.safe_dump({"tenants": [row]}), "utf-8")
    assert tenants.read(tmp_path / "tenants.yaml").problems == ()


def test_readme_scrapes_the_address_that_is_listened_on() -> None:
    """Prometheus' example goes to the default of the setting."""
    (text,) = [block for block in examples("yaml") if block.startswith("scrape_configs:")]
    (job,) = yaml.safe_load(text)["scrape_configs"]
    assert job["static_configs"] == [{"targets": [Settings.model_fields["listen"].default]}]
