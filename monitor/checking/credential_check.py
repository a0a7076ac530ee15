"""One check of one credential, for all callers: load the secret, limit the request, send it."""

from dataclasses import dataclass, field

from checks.catalogue.entry import WriteProbes
from checks.check_request import CheckRequest
from checks.report import CheckReport
from checks.v1.check import WriteGuard
from monitor.checking.failure_log import FailureLog
from monitor.checking.greenhouse import Greenhouse
from monitor.drift.suspicion import Suspicion
from monitor.tenants.credential_loader import CredentialLoader, LoadedCredential
from monitor.tenants.file import CredentialConfig


@dataclass(frozen=True, slots=True)
class CheckTask:
    """One credential to check; `request` asks for everything."""

    tenant_id: str
    config: CredentialConfig
    request: CheckRequest
    permitted: WriteProbes

    @property
    def label(self) -> str:
        return self.config.label


@dataclass(frozen=True, slots=True)
class CredentialCheck:
    greenhouse: Greenhouse
    loader: CredentialLoader
    failure_log: FailureLog = field(default_factory=FailureLog)

    async def run(self, task: CheckTask, suspicion: Suspicion, guard: WriteGuard) -> tuple[CheckReport, str]:
        """The report, and the fingerprint of the secret it was made with.

        The secret is loaded for each check: it may be replaced between two. SourceFailed, ConfigurationError or
        CredentialError, and nothing sent, if that fails.
        """
        credential = await self.loader.load(task.tenant_id, task.config)
        return await self.run_with(credential, task, suspicion, guard)

    async def run_with(
        self, credential: LoadedCredential, task: CheckTask, suspicion: Suspicion, guard: WriteGuard
    ) -> tuple[CheckReport, str]:
        """Like `run`, with a credential at hand."""
        fingerprint = self.loader.fingerprint(credential)
        request = suspicion.narrow(task.request, fingerprint)
        report = await self.greenhouse.check(task.tenant_id, credential, request, task.permitted, guard)
        self.failure_log.note(task.tenant_id, task.label, report)
        return report, fingerprint
