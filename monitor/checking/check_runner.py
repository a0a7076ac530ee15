"""`check`: every chosen credential checked now, and again where the first check found trouble."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol

from checks.errors import CredentialError, HarvestMonitorError
from checks.report import CheckReport
from checks.report_builder import misconfigured, not_loaded
from monitor.checking.check_document import Checked, CheckError, ExitStatus
from monitor.checking.claim_queries import Claim
from monitor.checking.confirmation import Confirmation
from monitor.checking.credential_check import CheckTask, CredentialCheck
from monitor.checking.recorded_check import RecordedCheck
from monitor.checking.write_halt import LocalWriteGuard, LocalWriteHalt, SharedWriteGuard, SharedWriteHalt
from monitor.clock import utc_now
from monitor.drift import DriftPolicy
from monitor.drift.suspicion import Suspicion
from monitor.errors import ConfigurationError, SourceFailed, StoreError


@dataclass(frozen=True, slots=True)
class Result:
    checked: Checked
    error: CheckError | None = None


class Progress(Protocol):
    """What a command shows while it works."""

    def began(self, task: CheckTask) -> None: ...

    def waits(self, task: CheckTask, seconds: float) -> None: ...

    def ended(self, task: CheckTask, result: Result) -> None: ...


CheckOnce = Callable[[CheckTask, Suspicion], Awaitable[tuple[CheckReport, str]]]
"""One check of one credential: what was found, and the fingerprint of the secret it was found with."""


@dataclass(frozen=True, slots=True)
class UnrecordedCheck:
    """Leaves nothing behind."""

    credential_check: CredentialCheck
    write_halt: LocalWriteHalt

    async def __call__(self, task: CheckTask, suspicion: Suspicion) -> tuple[CheckReport, str]:
        return await self.credential_check.run(task, suspicion, LocalWriteGuard(self.write_halt, task.tenant_id))


@dataclass(frozen=True, slots=True)
class RecordingCheck:
    """Claims and records as `serve` does, so that neither overwrites the other."""

    credential_check: CredentialCheck
    write_halt: SharedWriteHalt
    recorded_check: RecordedCheck

    async def __call__(self, task: CheckTask, suspicion: Suspicion) -> tuple[CheckReport, str]:
        """ConfigurationError if the credential is not in the database, or a running service claimed it meanwhile."""
        claim = await self.recorded_check.claim(task.tenant_id, task.label)
        if claim is None:
            raise ConfigurationError("not recorded: the database has no such credential; run `tenants sync` first")

        async def check() -> tuple[CheckReport, str]:
            guard = SharedWriteGuard(self.write_halt, claim)
            return await self.credential_check.run(task, _with_memory_of(claim, suspicion), guard)

        report, fingerprint, recorded = await self.recorded_check.run(claim, check)
        if recorded is None:
            raise ConfigurationError("not recorded: a running service claimed this credential meanwhile; see `history`")
        return report, fingerprint


def _with_memory_of(claim: Claim, suspicion: Suspicion) -> Suspicion:
    """The database remembers refusals and verdicts of earlier checks, too."""
    known = claim.suspicion
    # The first check of a command asks for everything, whatever the service suspects.
    if suspicion.fingerprint is None:
        return replace(known, suspects=frozenset())
    if suspicion.fingerprint != known.fingerprint:
        return suspicion
    suspicion = replace(suspicion, refused=suspicion.refused | known.refused)
    if not known.is_of(suspicion.fingerprint, suspicion.manifest_digest):
        return suspicion
    return replace(suspicion, granted=known.granted, granted_by_list=known.granted_by_list, missing=known.missing)


@dataclass(frozen=True, slots=True)
class CheckRunner:
    check: CheckOnce
    policy: DriftPolicy
    concurrency: int
    progress: Progress
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def run(self, tasks: Sequence[CheckTask]) -> list[Result]:
        """The results in the order of the tasks; what goes wrong with one spoils only that one.

        Cancelled, it gives the results there are.
        """
        places = asyncio.Semaphore(self.concurrency)
        results: dict[int, Result] = {}

        async def one(number: int, task: CheckTask) -> None:
            async with places:
                self.progress.began(task)
                results[number] = await self._result(task)
                self.progress.ended(task, results[number])

        with suppress(asyncio.CancelledError):
            async with asyncio.TaskGroup() as group:  # it waits for every one of them, also when it is cancelled
                for number, task in enumerate(tasks):
                    group.create_task(one(number, task))
        return [results[number] for number in sorted(results)]

    async def _result(self, task: CheckTask) -> Result:
        try:
            return await self._confirmed(task)
        except SourceFailed as problem:
            report = not_loaded(task.request.manifest, utc_now())
            return _failed(task, report, str(problem), ExitStatus.UNDECIDED)
        except (ConfigurationError, CredentialError, StoreError) as problem:
            return _failed(task, _misconfigured(task), str(problem), ExitStatus.USAGE)
        except Exception as problem:  # one tenant's surprise must not cost the others their results
            message = f"the check broke off ({type(problem).__name__}); please report this"
            known = isinstance(problem, HarvestMonitorError)
            return _failed(task, _misconfigured(task), str(problem) if known else message, ExitStatus.INTERNAL)

    async def _confirmed(self, task: CheckTask) -> Result:
        """Check, and as long as a second check can decide something, wait and check again."""
        confirmation = Confirmation(self.policy)
        report, fingerprint = await self.check(task, Suspicion())
        confirmation.add(report, fingerprint, utc_now())
        while confirmation.in_doubt:
            seconds = self.policy.confirm_after.total_seconds()
            self.progress.waits(task, seconds)
            await self.sleep(seconds)
            report, fingerprint = await self.check(task, confirmation.suspicion)
            confirmation.add(report, fingerprint, utc_now())
        return Result(Checked(task.tenant_id, task.label, task.config.kind, fingerprint, confirmation.report))


def _misconfigured(task: CheckTask) -> CheckReport:
    return misconfigured(task.request.manifest, "misconfigured", utc_now())


def _failed(task: CheckTask, report: CheckReport, message: str, status: ExitStatus) -> Result:
    checked = Checked(task.tenant_id, task.label, task.config.kind, None, report)
    return Result(checked, CheckError(task.tenant_id, message, status))
