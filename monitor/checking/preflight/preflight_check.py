"""One pre-flight: a credential at hand is checked, and confirmed, by the same rules and limits as a tenant's."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from checks.catalogue.entry import WriteProbes
from checks.check_request import CheckRequest
from checks.credential import CredentialKind
from checks.report import CheckReport
from monitor.checking.check_document import Checked, alarm_error, check_entry
from monitor.checking.check_runner import CheckRunner, Result
from monitor.checking.credential_check import CheckTask, CredentialCheck
from monitor.checking.preflight.advice import advice
from monitor.checking.write_halt import SharedWriteGuard, SharedWriteHalt
from monitor.drift import DriftPolicy
from monitor.drift.suspicion import Suspicion
from monitor.tenants.credential_loader import LoadedCredential
from monitor.tenants.file import CredentialConfig, Grant

LABEL = "pre-flight"
"""Stands where a tenant's id and a credential's label would."""


@dataclass(frozen=True, slots=True)
class PreflightOrder:
    """What to check. `tenant` is a label only, whether or not there is such a tenant; it holds no secret."""

    credential: LoadedCredential
    kind: CredentialKind
    grant: Grant | None
    request: CheckRequest
    permitted: WriteProbes
    tenant: str | None = None


@dataclass(frozen=True, slots=True)
class _OfNoTenant:
    """The credential of a pre-flight, where the write halt asks whose it is."""

    tenant_name: str
    tenant_id: None = None
    credential_id: None = None
    label: str = LABEL


@dataclass(frozen=True, slots=True)
class _AtHand:
    credential: LoadedCredential
    credential_check: CredentialCheck
    guard: SharedWriteGuard

    async def __call__(self, task: CheckTask, suspicion: Suspicion) -> tuple[CheckReport, str]:
        return await self.credential_check.run_with(self.credential, task, suspicion, self.guard)


class _Unwatched:
    """The progress of a check that nobody follows step by step."""

    def began(self, task: CheckTask) -> None: ...

    def waits(self, task: CheckTask, seconds: float) -> None: ...

    def ended(self, task: CheckTask, result: Result) -> None: ...


@dataclass(frozen=True, slots=True)
class PreflightCheck:
    """`credential_check` and `write_halt` are those of the service: one total rate, one breaker, one halt."""

    credential_check: CredentialCheck
    write_halt: SharedWriteHalt
    policy: DriftPolicy
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def run(self, order: PreflightOrder) -> dict[str, Any] | None:
        """The entry of `check --json`, with `errors` and `advice`; None if it was cancelled."""
        guard = SharedWriteGuard(self.write_halt, _OfNoTenant(order.tenant or LABEL))
        check = _AtHand(order.credential, self.credential_check, guard)
        runner = CheckRunner(check, self.policy, concurrency=1, progress=_Unwatched(), sleep=self.sleep)
        results = await runner.run([self._task(order)])
        return _document(results[0], order) if results else None

    def _task(self, order: PreflightOrder) -> CheckTask:
        # By its secret, not by a name that was sent: to the breaker, one credential tried often is one in trouble.
        name = f"{LABEL} {self.credential_check.loader.fingerprint(order.credential)}"
        # There is no reference: the secret is at hand.
        return CheckTask(name, CredentialConfig(LABEL, order.kind, "", None), order.request, order.permitted)


def _document(result: Result, order: PreflightOrder) -> dict[str, Any]:
    checked: Checked = replace(result.checked, tenant_id=order.tenant or LABEL)
    errors = [alarm_error(None, alarm).message for alarm in checked.report.alarms]
    if result.error is not None:
        errors.append(result.error.message)
    return {
        **check_entry(checked),
        "errors": errors,
        "advice": asdict(advice(checked.report, order.kind, order.grant)),
    }
