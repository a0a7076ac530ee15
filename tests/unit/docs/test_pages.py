"""What README and docs name is there: pages, settings, metrics, messages; and their examples work."""

import configparser
import re
import tomllib
from pathlib import Path

import pytest
import yaml

from checks.catalogue.entry import WriteProbes
from checks.credential import CredentialKind
from checks.manifest import load as load_manifest
from monitor.config import settings_loader
from monitor.config.addresses import MailServer
from monitor.config.secret_command import TENANT_VARIABLE
from monitor.config.settings import PREFIX, Settings
from monitor.tenants.file_reader import read_tenants_file
from monitor.tenants.manifests import ManifestRegistry
from monitor.tenants.targets import build_targets
from tests.cases import for_each
from tests.paths import ROOT

README = ROOT / "README.md"
DOCS = ROOT / "docs"
INDEX = DOCS / "README.md"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]
MOST_WORDS = 1300
SOURCE = "".join(file.read_text("utf-8") for part in ("checks", "monitor") for file in (ROOT / part).rglob("*.py"))


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def examples(language: str, page: Path = README) -> list[str]:
    """The page's blocks in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text("utf-8"), re.M | re.S)


def linked(page: Path) -> set[Path]:
    """The files that the page's links and pictures lead to."""
    text = page.read_text("utf-8")
    names = re.findall(r"\]\((?!https?:)([^)#\s]+)", text) + re.findall(r"(?:src|srcset)=\"([^\"]+)\"", text)
    return {(page.parent / name).resolve() for name in names}


def headings(page: Path) -> set[str]:
    """The headings as links name them: lower case, dashes for blanks, no punctuation."""
    found = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.M)
    return {re.sub(r"[^\w -]", "", text.lower()).replace(" ", "-") for text in found}


@for_each(PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    """A relative link names a file of the project, and a heading in it if it names one."""
    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.read_text("utf-8")):
        path, _, heading = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_relative_to(ROOT), link
        assert target.exists(), link
        assert not heading or heading in headings(target), link


@for_each(PAGES, ids=name_of)
def test_every_picture_is_there(page: Path) -> None:
    """A picture is a file of the project: no page loads anything from elsewhere."""
    assert "![" not in page.read_text("utf-8")
    assert {file for file in linked(page) if file.suffix in (".png", ".svg")} <= set((DOCS / "images").iterdir())


def test_the_index_leads_to_every_page() -> None:
    """A newcomer finds each page of docs/ from docs/README.md, and that from README."""
    assert INDEX in linked(README)
    decisions = DOCS / "decisions" / "README.md"
    assert {*ROOT.glob("*.md"), *DOCS.glob("*.md"), decisions} - {INDEX} <= linked(INDEX)
    assert set(decisions.parent.glob("*.md")) - {decisions} == {page for page in linked(decisions) if page.suffix}


def test_readme_is_read_in_a_few_minutes() -> None:
    """It has at most 1,300 words, examples included and the markup of pictures not; the rest is in docs/."""
    assert len(re.sub(r"</?(?:p|picture|source|img)\b[^>]*>", "", README.read_text("utf-8")).split()) <= MOST_WORDS


def test_the_first_screen_has_the_two_commands_and_the_pictures() -> None:
    """Before the first heading below the title: `make demo`, `make test`, the email, the terminal and two pages."""
    first = README.read_text("utf-8").split("\n## ")[0]
    assert [line.split("#")[0].strip() for line in examples("sh")[0].splitlines()] == ["make demo", "make test"]
    assert examples("sh")[0] in first
    pictures = {
        f"docs/images/{what}-{how}"
        for what, kind in (("email", "png"), ("demo", "svg"), ("on-call-overview", "png"), ("on-call-tenant", "png"))
        for how in (f"light.{kind}", f"dark.{kind}")
    }
    assert set(re.findall(r"docs/images/[\w.-]+", first)) == pictures


@for_each(PAGES, ids=name_of)
def test_every_variable_is_a_setting(page: Path) -> None:
    """A variable that a page names is one the service reads, or the one that it gives to commands."""
    named = re.findall(rf"{PREFIX}[A-Z]+(?:_[A-Z]+)*", page.read_text("utf-8"))
    known = {PREFIX + name.upper() for name in [*Settings.model_fields, "config"]}
    assert set(named) <= known | {TENANT_VARIABLE}


@for_each(PAGES, ids=name_of)
def test_every_metric_is_exported(page: Path) -> None:
    """A metric that a page names stands in docs/metrics.md, which another test holds to the code."""
    known = re.findall(r"^\| `(harvest_monitor_\w+)`", (DOCS / "metrics.md").read_text("utf-8"), re.M)
    assert known
    assert set(re.findall(r"\bharvest_monitor_[a-z_]+", page.read_text("utf-8"))) <= set(known)


def test_messages_that_are_explained_are_in_the_code() -> None:
    """A reader who searches docs/troubleshooting.md for what the command said finds it."""
    text = (DOCS / "troubleshooting.md").read_text("utf-8")
    rows = text.split("\n| it says | then |\n")[1].split("\n\n")[0].splitlines()[1:]
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
    return settings_loader.load()


def test_readmes_settings_are_enough_to_serve(here: Path) -> None:
    """Its first part is enough to check with, both parts together to serve with mail; nothing is left to warn of."""
    first, second = examples("toml")
    assert settings_of(here, first).write_probes is WriteProbes.SAFE

    both = settings_of(here, first, second)
    assert both.problems_for_serving() == both.warnings_for_serving() == []
    assert isinstance(both.mail_target, MailServer)


def test_the_sandbox_can_stand_in_for_greenhouse(here: Path) -> None:
    """The one line that docs/deploy.md adds for a trial fits to README's settings, and so does README's own."""
    (line,) = examples("toml", DOCS / "deploy.md")
    assert f"`{line.strip()}`" in README.read_text("utf-8")
    settings = settings_of(here, examples("toml")[0], line)
    assert settings.harvest_url == "http://127.0.0.1:8765"


def permitted_by(text: str, folder: Path) -> dict[str, WriteProbes]:
    """Which write probes each tenant of the file is sent where the setting is `safe`; every row is right."""
    (folder / "tenants.yaml").write_text(text, "utf-8")
    file = read_tenants_file(folder / "tenants.yaml")
    targets = build_targets(file, ManifestRegistry(load_manifest("gem")), WriteProbes.SAFE)
    assert targets.file.problems == ()
    return {target.tenant.id: target.permitted for target in targets.all}


def test_readmes_tenants_file_can_be_used(tmp_path: Path) -> None:
    """One customer has a key, the other a credential of Harvest v3."""
    (text,) = [block for block in examples("yaml") if block.startswith("tenants:")]
    assert permitted_by(text, tmp_path).keys() == {"acme", "globex"}
    kinds = [row["credential"]["kind"] for row in yaml.safe_load(text)["tenants"]]
    assert kinds == [CredentialKind.HARVEST_KEY, CredentialKind.HARVEST_OAUTH]


def test_a_tenant_lowers_what_may_be_sent(tmp_path: Path) -> None:
    """The setting allows safe write probes, and a tenant lowers them as docs/deploy.md says."""
    (text,) = examples("yaml", DOCS / "deploy.md")
    assert permitted_by(text, tmp_path) == {"acme": WriteProbes.SAFE, "globex": WriteProbes.OFF}


def test_the_credential_of_harvest_v3_can_be_used(tmp_path: Path) -> None:
    """The one of docs/v3.md whose token comes from a command is right as it stands."""
    (text,) = [block for block in examples("yaml", DOCS / "v3.md") if block.startswith("credential:")]
    row = {"id": "initech", "name": "Initech", **yaml.safe_load(text)}
    (tmp_path / "tenants.yaml").write_text(yaml.safe_dump({"tenants": [row]}), "utf-8")
    assert read_tenants_file(tmp_path / "tenants.yaml").problems == ()


def test_readme_scrapes_the_address_that_is_listened_on() -> None:
    """Prometheus' example goes to the default of the setting."""
    (text,) = [block for block in examples("yaml") if block.startswith("scrape_configs:")]
    (job,) = yaml.safe_load(text)["scrape_configs"]
    assert job["static_configs"] == [{"targets": [Settings.model_fields["listen"].default]}]


def test_the_unit_fits_to_the_other_steps() -> None:
    """It starts what step 1 installs, as the user of step 1, with step 3's settings, and may write the database."""
    (unit,) = examples("ini")
    parsed = configparser.ConfigParser(strict=False)  # systemd lets some lines occur twice
    parsed.optionxform = str  # type: ignore[method-assign,assignment]
    parsed.read_string(unit)
    service = parsed["Service"]
    shell = "".join(examples("sh"))
    settings = tomllib.loads(examples("toml")[0])
    assert f"ln -s {service['ExecStart'].removesuffix(' serve')} /usr/local/bin/\n" in shell
    home = f"/var/lib/{service['StateDirectory']}"
    assert f"--home-dir {home} {service['User']}\n" in shell
    assert f"export {service['Environment']}\n" in shell
    assert settings["database_url"].startswith(f"sqlite:///{home}/")


def test_docs_explain_every_line_of_the_unit_that_restricts_it() -> None:
    """The table of docs/deploy.md has each, and none that is not in README's unit."""
    cells = re.findall(r"^\| (`[A-Z]\w+=.*?`) \|", (DOCS / "deploy.md").read_text("utf-8"), re.M)
    explained = [line for cell in cells for line in re.findall(r"`(.+?)`", cell)]
    (unit,) = examples("ini")
    rest = ("Description=", "Wants=", "Environment=", "ExecStart=", "WantedBy=")
    assert explained == [line for line in unit.splitlines() if "=" in line and not line.startswith(rest)]


def test_readme_installs_from_files_that_are_there() -> None:
    """Each lock file that pip is given is one of the project, and every one that an installation needs is given."""
    given = re.findall(r"-r (\S+)", "".join(examples("sh")))
    assert given == ["requirements.lock", "requirements-build.lock"]
    assert all((ROOT / name).is_file() for name in given)
