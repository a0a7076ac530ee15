import os
import re
import traceback
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from checks.catalogue.entry import WriteProbes
from monitor.config.addresses import Encryption, ListenAddress, MailFolder, MailServer
from monitor.config.setting_types import parse_duration
from monitor.config.settings import NoticesMode, Settings
from monitor.config.settings_loader import load
from monitor.errors import ConfigurationError
from monitor.redaction import redactor
from tests.paths import ROOT

DOCS = ROOT / "docs" / "settings.md"
CANARY = "canary4711"


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith("HARVEST_MONITOR_"):
            monkeypatch.delenv(name)


def set_environment(monkeypatch: pytest.MonkeyPatch, variables: Mapping[str, str]) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"HARVEST_MONITOR_{name}", value)


def refusal(**overrides: object) -> str:
    """Everything a refusal could show on a screen, traceback and causes included."""
    with pytest.raises(ConfigurationError) as caught:
        load(**overrides)
    return "".join(traceback.format_exception(caught.value))


def documented() -> dict[str, tuple[str, str]]:
    rows = re.findall(r"^\| `HARVEST_MONITOR_(\w+)` \| (.+?) \| (.+) \|$", DOCS.read_text("utf-8"), re.MULTILINE)
    return {name.lower(): (default, meaning) for name, default, meaning in rows}


def test_docs_have_every_setting_with_its_meaning() -> None:
    """docs/settings.md has a row for every setting, in the code's order and words, and no other rows."""
    meanings = {name: meaning for name, (_, meaning) in documented().items() if name != "config"}

    assert meanings == {name: field.description for name, field in Settings.model_fields.items()}
    assert list(meanings) == list(Settings.model_fields)
    assert "config" in documented()


def test_docs_have_every_default() -> None:
    """Setting a value to the default in docs/settings.md is the same as leaving it out."""
    defaults = {name: default for name, (default, _) in documented().items() if name != "config"}
    written = {name: default.strip("`") for name, default in defaults.items() if default != "not set"}

    assert Settings(**written) == Settings()
    assert {name for name in Settings.model_fields if getattr(Settings(), name) is None} == {
        name for name, default in defaults.items() if default == "not set"
    }


def test_environment_overrides_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A variable overrides the TOML file, the file overrides the defaults, and an empty variable counts as not set."""
    config = tmp_path / "config.toml"
    config.write_text('interval = "2h"\nsettle = 30\nmanifest = "mine.yaml"\nconcurrency = 5\n')
    set_environment(monkeypatch, {"CONFIG": str(config), "INTERVAL": "1d", "MANIFEST": "", "WRITE_PROBES": "safe"})

    settings = load(concurrency=7)

    assert settings.interval == timedelta(days=1)
    assert settings.settle == timedelta(seconds=30)
    assert settings.manifest == "mine.yaml"
    assert settings.write_probes is WriteProbes.SAFE
    assert settings.concurrency == 7


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (90, 90),
        (0.5, 0.5),
        ("90", 90),
        ("90s", 90),
        ("1.5h", 5400),
        ("15m", 900),
        ("4 h", 14400),
        ("1d", 86400),
        ("0", 0),
    ],
)
def test_durations(written: object, seconds: float) -> None:
    """A duration is seconds as a number, or a number with s, m, h or d."""
    assert parse_duration(written) == timedelta(seconds=seconds)


@pytest.mark.parametrize("written", ["", "h", "-1", "4w", "4H", "1h30m", "nan", "1e3", "367d", "٣", True, None, -5])
def test_durations_refused(written: object) -> None:
    """Anything else is refused: nothing negative, nothing combined, nothing longer than 366 days."""
    with pytest.raises(ValueError, match="must"):
        parse_duration(written)


def test_history_is_kept_for_years_or_forever() -> None:
    """From 90 days, as other parts look back at recent events, to longer than any law asks for."""
    assert load().keep_history is None
    for written in ("90d", "3660d", "36600d"):
        assert load(keep_history=written).keep_history == timedelta(days=int(written[:-1]))
    for written, limit in (
        ("89d", "at least 90 days"),
        ("0", "at least 90 days"),
        ("36601d", "longer than 36600 days"),
    ):
        assert limit in refusal(keep_history=written), written


@given(st.integers(0, 366), st.sampled_from(["seconds", "minutes", "hours", "days"]))
def test_a_unit_means_what_it_says(number: int, unit: str) -> None:
    """The four letters are seconds, minutes, hours and days."""
    assert parse_duration(f"{number}{unit[0]}") == timedelta(**{unit: number})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HARVEST_URL", "http://harvest.greenhouse.io"),  # unencrypted to another machine
        ("HARVEST_URL", f"https://{CANARY}@harvest.greenhouse.io"),
        ("HARVEST_URL", f"https://harvest.greenhouse.io/{CANARY}"),
        ("HARVEST_URL", f"https://harvest.greenhouse.io?{CANARY}"),
        ("AUTH_URL", "http://128.0.0.1"),
        ("DATABASE_URL", f"mysql://u:{CANARY}@h/d"),
        ("DATABASE_URL", f"postgresql://u:{CANARY}@h:port/d"),
        ("DATABASE_URL", "sqlite://"),  # a database in memory is lost between two connections
        ("SMTP_URL", f"smtp://u:{CANARY}@mail.example?tls=none"),
        ("SMTP_URL", f"smtp://u:{CANARY}#@mail.example"),
        ("SMTP_URL", "env:NOT_SET_ANYWHERE"),
        ("SMTP_URL", f"{CANARY}"),
        ("HTTP_PROXY", f"socks5://u:{CANARY}@proxy"),
        ("PUBLIC_URL", "monitor.example"),
        ("LISTEN", ":9808"),
        ("LISTEN", "127.0.0.1:99999"),
        ("MAIL_FROM", f"Gem\nBcc: {CANARY}@x.example"),
        ("OPERATOR_MAIL", f"{CANARY} at vendor"),
        ("CONTACT", f"{CANARY}\r\nX-Header: 1"),
        ("CA_BUNDLE", f"/nowhere/{CANARY}"),
        ("WRITE_PROBES", CANARY),
        ("INTERVAL", "0"),
        ("INTERVAL", f"4{CANARY}"),
        ("REQUESTS_PER_SECOND", "-1"),
        ("REQUESTS_PER_SECOND", "inf"),
        ("REQUESTS_PER_SECOND", CANARY),
        ("CONCURRENCY", "0"),
        ("LOG_LEVEL", CANARY),
        ("METRICS_LISTEN", CANARY),
        ("SIGN_IN", CANARY),
        ("OPERATORS", " , "),
        ("OIDC_ISSUER", f"http://{CANARY}.example"),  # unencrypted to another machine
        ("OIDC_ISSUER", f"https://u:{CANARY}@id.example"),
        ("OIDC_CLIENT_SECRET", CANARY),  # not a reference
        ("OIDC_CLIENT_SECRET", "env:NOT_SET_ANYWHERE"),
        ("OIDC_SCOPES", f"email {CANARY}"),
        ("TRUSTED_PROXIES", f"10.0.0.0/8, {CANARY}"),
        ("TRUSTED_PROXIES", "10.0.0.1/8"),  # is the network meant, or the machine?
        ("PROXY_USER_HEADER", f"Remote_{CANARY}"),
    ],
)
def test_a_wrong_value_is_named_and_not_shown(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """The error names the variable and never repeats the value, not even in its traceback."""
    set_environment(monkeypatch, {name: value})

    message = refusal()

    assert f"HARVEST_MONITOR_{name}: " in message
    assert CANARY not in message


def test_a_wrong_value_of_the_file_is_named_by_file_and_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every mistake in the TOML file is reported at once, with the file and the key."""
    config = tmp_path / "config.toml"
    config.write_text(
        f'interval = "{CANARY}"\nsmtp_url = "{CANARY}"\ninterwal = "{CANARY}"\n[nested]\nkey = "{CANARY}"\n'
    )
    set_environment(monkeypatch, {"CONFIG": str(config)})

    message = refusal()

    assert f"{config}: interval: must be seconds" in message
    assert f"{config}: smtp_url: must be" in message
    assert f"{config}: interwal: is not a setting: did you mean interval?" in message
    assert f"{config}: nested: is not a setting: remove it" in message
    assert CANARY not in message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "HARVEST_MONITOR_CONFIG: .* cannot be read"),
        (b"interval 4h", "is not TOML: .*line 1"),
        (b"contact = '\xff'", "is not UTF-8"),
        (b"config = 'other.toml'", "config: is not a setting"),  # one file, and no chain of them
    ],
)
def test_an_unreadable_file_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None, message: str
) -> None:
    """A configuration file that is named must exist, be UTF-8 and be TOML."""
    config = tmp_path / "config.toml"
    if content is not None:
        config.write_bytes(content)
    set_environment(monkeypatch, {"CONFIG": str(config)})

    assert re.search(message, refusal())


def test_an_unknown_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable with our prefix that is no setting is an error that suggests the right one."""
    set_environment(monkeypatch, {"INTERVALL": CANARY, "ACME_KEY": CANARY})

    message = refusal()

    assert "HARVEST_MONITOR_INTERVALL: is not a setting: did you mean HARVEST_MONITOR_INTERVAL?" in message
    assert "HARVEST_MONITOR_ACME_KEY: is not a setting" in message
    assert CANARY not in message


def test_variables_of_kubernetes_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables that Kubernetes sets for a service of our name are ignored; a port set by hand is an error."""
    set_environment(
        monkeypatch,
        {
            "SERVICE_HOST": "10.0.0.1",
            "SERVICE_PORT": "9808",
            "SERVICE_PORT_HTTP": "9808",
            "PORT": "tcp://10.0.0.1:9808",
            "PORT_9808_TCP": "tcp://10.0.0.1:9808",
            "PORT_9808_TCP_ADDR": "10.0.0.1",
            "WORKER_PORT": "tcp://10.0.0.2:9808",
            "WORKER_SERVICE_HOST": "10.0.0.2",
        },
    )
    load()

    set_environment(monkeypatch, {"PORT": "9808"})
    assert "HARVEST_MONITOR_PORT: is not a setting" in refusal()


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "127.8.9.1", "[::1]:80", "localhost"])
def test_http_is_allowed_for_loopback_without_a_proxy(host: str) -> None:
    """Plain http only to this machine, and never with a proxy, which would see the keys."""
    assert load(harvest_url=f"http://{host}").harvest_url.startswith("http://")

    message = refusal(harvest_url=f"http://{host}", http_proxy=f"http://u:{CANARY}@proxy.example:3128")
    assert "HARVEST_MONITOR_HTTP_PROXY" in message
    assert CANARY not in message


def test_no_password_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither repr, str nor JSON of the settings or of what is made of them shows a password."""
    set_environment(monkeypatch, {"SMTP_URL": f"smtp://u:{CANARY}@mail.example"})
    settings = load(database_url=f"postgresql://u:{CANARY}@h/d", http_proxy=f"http://u:{CANARY}@proxy")
    server = settings.mail_target

    shown = [repr(settings), str(settings), settings.model_dump_json(), repr(server), repr(settings.database)]

    assert isinstance(server, MailServer)
    assert server.password == CANARY
    assert not [text for text in shown if CANARY in text]


def test_settings_built_without_load_show_no_value_either() -> None:
    """Their validation error contains no value."""
    with pytest.raises(ValidationError) as caught:
        Settings(interval=CANARY, smtp_url=CANARY)

    assert CANARY not in str(caught.value)


def test_passwords_of_settings_are_masked_in_logs() -> None:
    """Once settings are loaded, the log masks their passwords in decoded form as well."""
    load(
        smtp_url="smtp://u:first%2Fone@mail.example",
        database_url="postgresql://u:second%2Fone@h/d",
        http_proxy="http://u:third%2Fone@proxy",
    )

    assert redactor.text("first/one second/one third/one") == "*** *** ***"


def test_an_address_with_a_password_may_be_a_reference(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """SMTP_URL, DATABASE_URL and HTTP_PROXY may be env: and file: references."""
    file = tmp_path / "database"
    file.write_text("postgresql://u:p@h/d\n")
    monkeypatch.setenv("MAIL_SERVER", "smtps://u:p%40ss@mail.example")
    set_environment(monkeypatch, {"SMTP_URL": "env:MAIL_SERVER", "DATABASE_URL": f"file:{file}"})

    settings = load()

    assert settings.mail_target == MailServer("mail.example", 465, Encryption.TLS, "u", "p@ss")
    assert settings.database.render_as_string(hide_password=False) == "postgresql+psycopg://u:p@h/d"


def test_a_public_address_without_tls_is_warned_of() -> None:
    """Sessions would travel in the clear; on this machine they do not leave it."""
    mail = {"notices": "off"}
    unprotected = ("http://monitor.vendor.example", "http://10.0.0.5:9808/")
    for address in (*unprotected, "https://monitor.vendor.example", "http://127.0.0.1:9808", "http://localhost"):
        warnings = load(public_url=address, **mail).warnings_for_serving()
        assert ["PUBLIC_URL" in warning for warning in warnings] == [True] * (address in unprotected), address


def test_lists_are_written_with_commas_or_as_lists(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In the environment with commas, in the file either way."""
    config = tmp_path / "config.toml"
    config.write_text('viewers = ["staff", "Dana Reyes"]\ntrusted_proxies = "10.0.0.0/8,::1"\n')
    set_environment(monkeypatch, {"CONFIG": str(config), "OPERATORS": " dana@vendor.example , on-call,"})

    settings = load()

    assert settings.operators == ("dana@vendor.example", "on-call")
    assert settings.viewers == ("staff", "Dana Reyes")
    assert settings.trusted_proxies == ("10.0.0.0/8", "::1")


def test_the_client_secret_is_a_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it points to is never printed, and is masked in the log."""
    monkeypatch.setenv("THEIR_SECRET", CANARY)
    settings = load(oidc_client_secret="env:THEIR_SECRET")

    assert settings.oidc_client_secret is not None
    assert settings.oidc_client_secret.get_secret_value() == CANARY
    assert CANARY not in repr(settings) + settings.model_dump_json()
    assert redactor.text(f"x {CANARY}") == "x ***"


def test_parsed_forms_of_settings() -> None:
    """Settings that have parts are available in parsed form."""
    settings = load(listen="[::1]:0", smtp_url="mailbox:demo/mail", database_url="sqlite:////var/lib/m.sqlite3")

    assert settings.listen_address == ListenAddress("::1", 0)
    assert settings.mail_target == MailFolder(Path("demo/mail"))
    assert str(settings.database) == "sqlite+aiosqlite:////var/lib/m.sqlite3"
    assert load().mail_target is None
    assert isinstance(settings.smtp_url, SecretStr)


MAIL = {"smtp_url": "mailbox:/mail", "mail_from": "Gem <monitor@vendor.example>", "operator_mail": "ops@vendor.example"}


@pytest.mark.parametrize(
    ("given_settings", "in_force", "problems", "warned"),
    [
        ({}, NoticesMode.OFF, [], True),  # a first trial: no notices configured
        ({"notices": "off"}, NoticesMode.OFF, [], False),
        (MAIL, NoticesMode.OPERATOR, [], False),
        (MAIL | {"notices": "csm"}, NoticesMode.CSM, [], False),
        ({"notices": "operator"}, NoticesMode.OPERATOR, ["SMTP_URL", "MAIL_FROM", "OPERATOR_MAIL"], False),
        ({"smtp_url": "mailbox:/mail"}, NoticesMode.OPERATOR, ["MAIL_FROM", "OPERATOR_MAIL"], False),
        ({"smtp_url": "mailbox:/mail", "notices": "off"}, NoticesMode.OFF, [], False),
        ({"database_url": "postgresql://h/d", "notices": "off"}, NoticesMode.OFF, ["INSTALLATION_KEY"], False),
    ],
)
def test_what_serving_needs(
    given_settings: dict[str, str], in_force: NoticesMode, problems: list[str], warned: bool
) -> None:
    """Configured notices need a server, a sender and an operator; without notices the service starts without them."""
    settings = load(**given_settings)

    assert settings.notices_in_force is in_force
    assert [found.split()[0] for found in settings.problems_for_serving()] == [f"HARVEST_MONITOR_{n}" for n in problems]
    assert all("set" in found for found in settings.problems_for_serving())
    assert bool(settings.warnings_for_serving()) is warned
