"""Settings: environment variables HARVEST_MONITOR_*, and below them one TOML file named by HARVEST_MONITOR_CONFIG."""

import os
from collections.abc import Iterable, Mapping
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict
from sqlalchemy import URL

from checks.catalogue.entry import WriteProbes
from monitor import database_address
from monitor.config import addresses, mail_addresses
from monitor.config.config_file import config_file
from monitor.config.setting_types import (
    Delay,
    Duration,
    HeaderName,
    Line,
    LongDuration,
    Names,
    Networks,
    Origin,
    PemFile,
    Percent,
    Rate,
    SecretReference,
    checked,
    contact_text,
    lower,
    secret_address,
)
from monitor.logs import LogFormat, LogLevel

PREFIX = "HARVEST_MONITOR_"


class NoticesMode(StrEnum):
    """Who gets notices: nobody, the operator only, or the tenants' CSMs as well."""

    OFF = "off"
    OPERATOR = "operator"
    CSM = "csm"


class SignInMode(StrEnum):
    """How people sign in: by a link that a command prints, at an OpenID provider, or at a proxy before us."""

    LINK = "link"
    OIDC = "oidc"
    PROXY = "proxy"


class Settings(BaseSettings):
    """Every setting, checked. Passwords print as asterisks; a relative path starts at the working directory."""

    # hide_input_in_errors: a wrong value may hold a password, and pydantic's errors quote values.
    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, extra="forbid", frozen=True, hide_input_in_errors=True
    )

    harvest_url: Origin = Field(
        "https://harvest.greenhouse.io", description="address of Greenhouse's Harvest API (http for loopback only)"
    )
    auth_url: Origin = Field(
        "https://auth.greenhouse.io", description="address of the auth server of Harvest v3 (http for loopback only)"
    )
    database_url: Annotated[SecretStr, secret_address(database_address.database_address)] = Field(
        SecretStr("sqlite:///harvest-monitor.sqlite3"),
        description="`sqlite:///file` or `postgresql://user:password@host/database`, or a reference to it",
    )
    database_pool_size: int = Field(
        10, ge=2, le=1000, description="most connections of one process to Postgres; SQLite has its own number"
    )
    database_start_timeout: Delay = Field(
        timedelta(minutes=10),
        description="how long `serve` waits at its start for a database that is down, starting or full; `0` = not at "
        "all, `366d` = for ever",
    )
    tenants: Path = Field(Path("tenants.yaml"), description="the tenants file")
    manifest: str = Field("gem", min_length=1, description="the permission manifest: a built-in name, or a path")
    write_probes: WriteProbes = Field(
        WriteProbes.OFF,
        description="write probes: `off`, `safe` (id 0 in the path) or `all` (also the three without id)",
    )
    interval: Duration = Field(timedelta(hours=4), description="time from one check of a credential to the next")
    confirm_after: Delay = Field(
        timedelta(seconds=60), description="time from a first loss to the check that confirms it"
    )
    retired_after: Duration = Field(
        timedelta(hours=1),
        description="how long a key of Harvest v1 must look retired in every check before it is `retired`",
    )
    deadline: Duration = Field(timedelta(minutes=5), description="longest time one check may take")
    requests_per_second: Rate = Field(2, description="requests per second to one credential; 0 = unlimited")
    total_requests_per_second: Rate = Field(
        0, description="requests per second of this process, all credentials together; 0 = unlimited"
    )
    concurrency: int = Field(50, ge=1, le=1000, description="checks that run at the same time")
    connect_timeout: Duration = Field(timedelta(seconds=10), description="longest wait for a connection")
    read_timeout: Duration = Field(timedelta(seconds=20), description="longest wait for more bytes of an answer")
    request_timeout: Duration = Field(timedelta(seconds=30), description="longest time for one request as a whole")
    command_timeout: Duration = Field(
        timedelta(seconds=10), description="longest time a `command:` of the tenants file may take to print its secret"
    )
    contact: Annotated[str, AfterValidator(contact_text)] | None = Field(
        None, description="your email address or web page, sent to Greenhouse in the User-Agent"
    )
    http_proxy: Annotated[SecretStr, secret_address(addresses.proxy_address)] | None = Field(
        None, description="proxy for requests to Greenhouse, `http://user:password@host:port`, or a reference to it"
    )
    ca_bundle: PemFile | None = Field(
        None, description="CA bundle (PEM file) used to verify Greenhouse, instead of the system's"
    )
    keep_checks: Duration = Field(
        timedelta(days=30), description="how long each check is kept; older ones are rolled up by day"
    )
    keep_notice_texts: Duration = Field(
        timedelta(days=90),
        description="how long the text of a sent notice is kept; the record that it was sent is kept forever",
    )
    keep_history: LongDuration | None = Field(
        None,
        description="how long drift events and operators' actions are kept, at least `90d`, such as `1100d`; not set: "
        "forever",
    )
    installation_key: Path | None = Field(
        None,
        description="file of the key that fingerprints are made with; created on first use. Default: "
        "`harvest-monitor.key` beside the SQLite file; required with Postgres",
    )
    notices: NoticesMode = Field(
        NoticesMode.OPERATOR, description="who gets notices: `off`, `operator`, or `csm` (CSMs and the operator)"
    )
    settle: Delay = Field(
        timedelta(minutes=15), description="how long changes are collected before a notice is written"
    )
    background_alike: Percent = Field(
        0.05, description="per cent of checks that find the same change by chance: one permission lost, or one state"
    )
    background_any: Percent = Field(0.5, description="per cent of checks that find any permission lost by chance")
    sample: int = Field(
        20, ge=0, le=100, description="tenants checked ahead of time when one changes: do others change alike? 0 = none"
    )
    sample_per_hour: int = Field(200, ge=0, le=10_000, description="most checks ahead of time in an hour")
    smtp_url: Annotated[SecretStr, secret_address(addresses.mail_target)] | None = Field(
        None, description="mail server, `smtp://user:password@host:587`, or a reference to it; see below"
    )
    smtp_timeout: Duration = Field(timedelta(seconds=30), description="longest wait for the mail server")
    smtp_ca_bundle: PemFile | None = Field(
        None, description="CA bundle (PEM file) used to verify the mail server, in addition to the system's"
    )
    mail_from: Annotated[str, AfterValidator(mail_addresses.named_mail_address)] | None = Field(
        None, description="sender of notices, `Name <address>` or an address"
    )
    ehlo_name: Annotated[str, AfterValidator(mail_addresses.ehlo_name)] | None = Field(
        None, description="name by which the mail server is greeted (EHLO); not set: the domain of `MAIL_FROM`"
    )
    operator_mail: Annotated[str, AfterValidator(mail_addresses.mail_address)] | None = Field(
        None, description="email address for the operator's notices"
    )
    vendor_name: Line | None = Field(
        None,
        description="what your customers call you or your product, in emails to CSMs and in what they forward; not "
        "set: “our integration”",
    )
    support_contact: Line | None = Field(
        None, description="whom CSMs and customers ask: an email address, a page or a few words"
    )
    secret_handover: Line | None = Field(
        None,
        description="how a customer hands over a new secret: the address of a page, or a sentence; see "
        "[notices](notices.md#what-a-customer-is-asked)",
    )
    public_url: Annotated[str, AfterValidator(addresses.page_address)] | None = Field(
        None, description="address at which people reach this service; emails contain no links until it is set"
    )
    listen: Annotated[str, checked(addresses.listen_address)] = Field(
        "127.0.0.1:9808",
        description="host and port of the pages, the API, `/metrics`, `/healthz`, `/readyz`; port 0 picks one",
    )
    metrics_listen: Annotated[str, checked(addresses.listen_address)] | None = Field(
        None, description="another host and port for `/metrics`, `/healthz`, `/readyz`, which need no sign-in"
    )
    sign_in: Annotated[SignInMode, BeforeValidator(lower)] = Field(
        SignInMode.LINK,
        description="how people [sign in](web.md): `link` (a command prints it), `oidc` or `proxy`",
    )
    operators: Names | None = Field(
        None, description="names, email addresses or groups that sign in as operators, separated by commas"
    )
    viewers: Names | None = Field(
        None, description="those that sign in as viewers; not set: everybody whom the provider or the proxy lets in"
    )
    session_idle: Duration = Field(timedelta(hours=12), description="how long a sign-in lasts without a request")
    session_longest: Duration = Field(timedelta(days=7), description="how long a sign-in lasts at most")
    oidc_issuer: Annotated[str, AfterValidator(addresses.issuer_address)] | None = Field(
        None, description="the OpenID provider's address, letter for letter as it calls itself"
    )
    oidc_client_id: str | None = Field(None, min_length=1, description="our client id at the provider")
    oidc_client_secret: SecretReference | None = Field(
        None, description="reference to our client secret at the provider, `env:NAME` or `file:/absolute/path`"
    )
    oidc_scopes: Annotated[str, Field(pattern=r"^openid( [!-~]+)*$")] = Field(
        "openid email profile", description="scopes asked of the provider, `openid` first"
    )
    oidc_roles_claim: str = Field("groups", min_length=1, description="the claim that holds a person's groups or roles")
    oidc_ca_bundle: PemFile | None = Field(
        None, description="CA bundle (PEM file) used to verify the provider, in addition to the system's"
    )
    trusted_proxies: Networks | None = Field(
        None, description="networks or addresses of the proxies whose headers are believed, separated by commas"
    )
    proxy_user_header: HeaderName = Field("Remote-User", description="the header in which the proxy names the person")
    proxy_groups_header: HeaderName | None = Field(
        None, description="the header in which the proxy lists the person's groups, separated by commas"
    )
    tenants_reload: Duration = Field(
        timedelta(seconds=10), description="how often the tenants file and the files of secrets are checked for changes"
    )
    stop_timeout: Delay = Field(
        timedelta(seconds=20), description="time that running checks get to finish when the service stops"
    )
    log_level: Annotated[LogLevel, BeforeValidator(lower)] = Field(
        LogLevel.INFO, description="`debug`, `info`, `warning` or `error`"
    )
    log_format: Annotated[LogFormat, BeforeValidator(lower)] = Field(
        LogFormat.AUTO, description="`json`, `console`, or `auto`: console on a terminal, JSON elsewhere"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, InitSettingsSource(settings_cls, config_file(os.environ))

    @model_validator(mode="after")
    def _no_proxy_without_tls(self) -> Self:
        if self.http_proxy and self.harvest_url.startswith("http://"):
            raise ValueError(
                f"{PREFIX}HTTP_PROXY: cannot be combined with an http:// {PREFIX}HARVEST_URL, since keys would reach "
                "the proxy unencrypted; leave out the proxy"
            )
        return self

    @property
    def database(self) -> URL:
        """The database's address with our driver; it hides its password when printed, so never pass it on as text."""
        return database_address.database_address(self.database_url.get_secret_value())

    @property
    def database_may_be_overheard(self) -> bool:
        """Whether it is a Postgres on another machine that would be spoken to without TLS."""
        url = self.database
        remote = url.get_backend_name() != "sqlite" and any(s.is_remote for s in database_address.servers(url))
        return remote and not database_address.demands_tls(url, os.environ)

    @property
    def mail_target(self) -> addresses.MailServer | addresses.MailFolder | None:
        return addresses.mail_target(self.smtp_url.get_secret_value()) if self.smtp_url else None

    @property
    def greeting_name(self) -> str:
        """How the mail server is greeted."""
        return self.ehlo_name or mail_addresses.greeting_of(self.mail_from or "")

    @property
    def listen_address(self) -> addresses.ListenAddress:
        return addresses.listen_address(self.listen)

    @property
    def metrics_listen_address(self) -> addresses.ListenAddress | None:
        return addresses.listen_address(self.metrics_listen) if self.metrics_listen else None

    @property
    def notices_in_force(self) -> NoticesMode:
        """`off` as long as neither a mail server nor notices are configured."""
        return NoticesMode.OFF if self._notices_not_configured else self.notices

    @property
    def _notices_not_configured(self) -> bool:
        return self.smtp_url is None and "notices" not in self.model_fields_set

    def problems_for_serving(self) -> list[str]:
        """Why the service must not start with these settings; each problem names the variable and the next step."""
        problems = []
        if self.notices_in_force is not NoticesMode.OFF:
            needed = ("smtp_url", "mail_from", "operator_mail")
            problems += self._missing(needed, f"NOTICES={self.notices}", "NOTICES=off")
        problems += self._missing(_TO_SIGN_IN[self.sign_in], f"SIGN_IN={self.sign_in}", "SIGN_IN=link")
        if self.installation_key is None and not self.database.drivername.startswith("sqlite"):
            problems.append(INSTALLATION_KEY_NEEDED)
        return problems

    def _missing(self, names: Iterable[str], needed_by: str, instead: str) -> list[str]:
        return [
            f"{PREFIX}{name.upper()} is not set, and {PREFIX}{needed_by} needs it: set it, or set {PREFIX}{instead}"
            for name in names
            if getattr(self, name) is None
        ]

    def warnings_for_serving(self) -> list[str]:
        """What the operator should know although the service starts."""
        warnings = []
        if self._notices_not_configured:
            warnings.append(
                f"{PREFIX}SMTP_URL is not set, so no email will be sent: set it together with {PREFIX}MAIL_FROM and "
                f"{PREFIX}OPERATOR_MAIL, or set {PREFIX}NOTICES=off to silence this warning"
            )
        if self.public_url is not None and addresses.is_unprotected(self.public_url):
            warnings.append(
                f"{PREFIX}PUBLIC_URL is not https, so whoever is on the line can act as everybody who signs in: put a "
                "proxy with TLS before the service"
            )
        return warnings

    @property
    def unset_words(self) -> list[str]:
        """Of the settings whose words make an email ready to forward, those that are not set."""
        names = ("vendor_name", "support_contact", "secret_handover")
        return [f"{PREFIX}{name.upper()}" for name in names if getattr(self, name) is None]


_TO_SIGN_IN: Mapping[SignInMode, tuple[str, ...]] = {
    SignInMode.LINK: (),
    SignInMode.OIDC: ("public_url", "oidc_issuer", "oidc_client_id", "oidc_client_secret"),
    SignInMode.PROXY: ("trusted_proxies",),
}
INSTALLATION_KEY_NEEDED = (
    f"{PREFIX}INSTALLATION_KEY is not set: with Postgres, name a file that every process of this installation can read "
    "and that survives restarts, since a new key makes every credential look replaced"
)
