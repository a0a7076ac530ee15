"""Builds the parts of a running program as the settings say: the same parts for `serve`, `check` and `doctor`."""

import random
from collections.abc import Awaitable, Callable
from functools import cached_property

from checks.manifest import Manifest, load
from checks.wire.connection import ConnectionSettings
from monitor.breaker.circuit_breaker import CircuitBreaker
from monitor.checking.check_limits import CheckLimits, concurrency
from monitor.checking.credential_check import CredentialCheck
from monitor.checking.dispatcher import Dispatcher
from monitor.checking.greenhouse import Greenhouse, RequestLimits
from monitor.checking.recorded_check import RecordedCheck
from monitor.checking.sampler import SampleLimits, Sampler
from monitor.checking.write_halt import SharedWriteHalt
from monitor.clock import elapsed, utc_now
from monitor.config.settings import Settings
from monitor.drift import DriftPolicy
from monitor.metrics import Metrics
from monitor.notices.compose.composer import Composer
from monitor.notices.content.render import Renderer
from monitor.notices.content.vendor import Vendor
from monitor.notices.delivery.outbox import Outbox
from monitor.notices.delivery.sender import MailSender
from monitor.notices.delivery.transport import transport_for
from monitor.notices.policy import NoticePolicy
from monitor.store.database import Database
from monitor.tenants.credential_loader import CredentialLoader
from monitor.tenants.file_reader import read_tenants_file
from monitor.tenants.manifests import ManifestRegistry
from monitor.tenants.sync import TenantSync
from monitor.tenants.targets import CheckTargets, build_targets, build_trial_targets
from monitor.version import user_agent


class Assembly:
    """Each method builds a new part."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @cached_property
    def drift_policy(self) -> DriftPolicy:
        return DriftPolicy(
            confirm_after=self.settings.confirm_after,
            interval=self.settings.interval,
            retired_after=self.settings.retired_after,
            look_again_after=self.notice_policy.look_again_after,
        )

    @cached_property
    def notice_policy(self) -> NoticePolicy:
        return NoticePolicy.of(self.settings)

    def registry(self) -> ManifestRegistry:
        """Reads them again each time. ManifestError if the manifest of the settings cannot be read."""
        return ManifestRegistry(load(self.settings.manifest))

    def targets(self, registry: ManifestRegistry) -> CheckTargets:
        """ConfigurationError if the tenants file cannot be read."""
        return build_targets(read_tenants_file(self.settings.tenants), registry, self.settings.write_probes)

    def trial_targets(self, manifest: Manifest) -> CheckTargets:
        """All tenants under this manifest instead of their own. ConfigurationError as `targets`."""
        return build_trial_targets(read_tenants_file(self.settings.tenants), manifest, self.settings.write_probes)

    def loader(self, fingerprint_key: bytes) -> CredentialLoader:
        return CredentialLoader(fingerprint_key, self.settings.command_timeout.total_seconds())

    def credential_check(self, metrics: Metrics, breaker: CircuitBreaker, fingerprint_key: bytes) -> CredentialCheck:
        # Once for each process: in it are the total rate, and the one request without a key.
        return CredentialCheck(self._greenhouse(metrics, breaker), self.loader(fingerprint_key))

    def recorded_check(self, db: Database) -> RecordedCheck:
        return RecordedCheck(db, self.drift_policy, CheckLimits.of(self.settings), utc_now, elapsed)

    def renderer(self, fell_back: Callable[[], None] = lambda: None) -> Renderer:
        return Renderer(fell_back, self.settings.public_url, Vendor.of(self.settings))

    def write_halt(self, db: Database, renderer: Renderer) -> SharedWriteHalt:
        return SharedWriteHalt(db, self.notice_policy, renderer, utc_now)

    def dispatcher(
        self, db: Database, check: Callable[[int], Awaitable[None]], metrics: Metrics, breaker: CircuitBreaker
    ) -> Dispatcher:
        return Dispatcher(
            db,
            check,
            metrics,
            breaker,
            concurrency=concurrency(self.settings),
            interval=self.settings.interval,
            clock=elapsed,
        )

    def sampler(self, db: Database, metrics: Metrics, breaker: CircuitBreaker) -> Sampler:
        return Sampler(db, breaker, metrics, SampleLimits.of(self.settings))

    def composer(self, db: Database, renderer: Renderer, tenant_sync: TenantSync) -> Composer:
        return Composer(
            db,
            self.notice_policy,
            renderer,
            # Functions: a reload replaces the registry.
            impacts=lambda: tenant_sync.registry.impacts,
            scopes=lambda: tenant_sync.registry.scopes,
            manifests=lambda name: tenant_sync.registry.manifest(name),
            effects=lambda: tenant_sync.registry.effects,
            derived=lambda: tenant_sync.registry.derived,
        )

    def outbox(self, db: Database, metrics: Metrics) -> Outbox | None:
        """None if no mail server or sender is set."""
        settings = self.settings
        target = settings.mail_target
        if target is None or settings.mail_from is None:
            return None
        transport = transport_for(target, settings.smtp_timeout, settings.greeting_name, settings.smtp_ca_bundle)
        return Outbox(
            db, MailSender(transport, settings.mail_from, metrics, jitter=random.random, now=utc_now), utc_now
        )

    def tenant_sync(self, db: Database, metrics: Metrics) -> TenantSync:
        """ManifestError if the manifest of the settings cannot be read."""
        settings = self.settings
        # The method, not its result: each load reads the manifests again.
        return TenantSync(settings.tenants, db, self.registry, settings.write_probes, self.drift_policy, metrics)

    @property
    def connection(self) -> ConnectionSettings:
        settings = self.settings
        return ConnectionSettings(
            connect_timeout=settings.connect_timeout.total_seconds(),
            read_timeout=settings.read_timeout.total_seconds(),
            request_timeout=settings.request_timeout.total_seconds(),
            proxy=settings.http_proxy.get_secret_value() if settings.http_proxy else None,
            ca_bundle=str(settings.ca_bundle) if settings.ca_bundle else None,
        )

    def _greenhouse(self, metrics: Metrics, breaker: CircuitBreaker) -> Greenhouse:
        settings = self.settings
        return Greenhouse(
            address=settings.harvest_url,
            auth=settings.auth_url,
            user_agent=user_agent(settings.contact),
            connection=self.connection,
            limits=RequestLimits(
                requests_per_second=settings.requests_per_second,
                total_requests_per_second=settings.total_requests_per_second,
                deadline_seconds=settings.deadline.total_seconds(),
            ),
            observer=metrics,
            breaker=breaker,
        )
