"""`check`: every chosen credential looked at now, and again where the first look found trouble."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from checks.catalogue.endpoints import WriteProbes
from checks.check_request import CheckRequest, unfetched, untried
from checks.confirmation import second_look, settles, together
from checks.errors import CredentialError, HarvestMonitorError
from checks.report import CheckReport
from monitor.checking.check_document import Checked, CheckError, ExitStatus
from monitor.checking.greenhouse import Greenhouse
from monitor.checking.write_halt import OneShotTenantGuard, OneShotWriteGuard
from monitor.clock import utc_now
from monitor.errors import ConfigurationError, SourceFailed
from monitor.tenants.credential_loader import CredentialLoader
from monitor.tenants.file import CredentialConfig

MOST_SECOND_LOOKS = 3  # a key may be refused, then replaced, then lack something: each is looked at twice


@dataclass(frozen=True, slots=True)
class Task:
    """One credential to look at."""

    tenant_id: str
    config: CredentialConfig
    question: CheckRequest
    permitted: WriteProbes

    @property
    def label(self) -> str:
        return self.config.label


@dataclass(frozen=True, slots=True)
class Result:
    checked: Checked
    error: CheckError | None = None


class Progress(Protocol):
    """What a command shows while it works."""

    def began(self, task: Task) -> None: ...

    def waits(self, task: Task, seconds: float) -> None: ...

    def ended(self, task: Task, result: Result) -> None: ...


Look = Callable[[Task, CheckRequest], Awaitable[tuple[CheckReport, str]]]
"""One look at one credential: what was found, and the fingerprint of the key it was found with."""


@dataclass(frozen=True, slots=True)
class UnrecordedCheck:
    """A look that leaves nothing behind. The key is fetched anew each time: it may be replaced between two looks."""

    greenhouse: Greenhouse
    guard: OneShotWriteGuard
    loader: CredentialLoader

    async def __call__(self, task: Task, question: CheckRequest) -> tuple[CheckReport, str]:
        opened = await self.loader.load(task.tenant_id, task.config)
        guard = OneShotTenantGuard(self.guard, task.tenant_id)
        report = await self.greenhouse.check(task.tenant_id, opened, question, task.permitted, guard)
        return report, self.loader.fingerprint(opened)


@dataclass(frozen=True, slots=True)
class CheckRunner:
    look: Look
    confirm_after_seconds: float
    concurrency: int
    progress: Progress
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def run(self, tasks: Sequence[Task]) -> list[Result]:
        """The results in the order of the tasks; what goes wrong with one spoils only that one.

        Cancelled, it gives the results there are.
        """
        places = asyncio.Semaphore(self.concurrency)
        results: dict[int, Result] = {}

        async def one(number: int, task: Task) -> None:
            async with places:
                self.progress.began(task)
                results[number] = await self._result(task)
                self.progress.ended(task, results[number])

        with suppress(asyncio.CancelledError):
            async with asyncio.TaskGroup() as group:  # it waits for every one of them, also when it is cancelled
                for number, task in enumerate(tasks):
                    group.create_task(one(number, task))
        return [results[number] for number in sorted(results)]

    async def _result(self, task: Task) -> Result:
        try:
            return await self._looked_at(task)
        except SourceFailed as problem:
            return _unfetched(task, str(problem))
        except (ConfigurationError, CredentialError) as problem:
            return _misconfigured(task, str(problem), ExitStatus.USAGE)
        except Exception as problem:  # one tenant's surprise must not cost the others their results
            message = f"the check broke off ({type(problem).__name__}); please report this"
            known = isinstance(problem, HarvestMonitorError)
            return _misconfigured(task, str(problem) if known else message, ExitStatus.INTERNAL)

    async def _looked_at(self, task: Task) -> Result:
        """Look, and where a second look is called for, wait and look again.

        What the two say belongs together only if it is the same key that was looked at, and works; a key that was
        replaced or refused meanwhile is looked at from the beginning.
        """
        report, mark = await self.look(task, task.question)
        for _ in range(MOST_SECOND_LOOKS):
            again = second_look(task.question, report)
            if again is None:
                break
            self.progress.waits(task, self.confirm_after_seconds)
            await self.sleep(self.confirm_after_seconds)
            second, second_mark = await self.look(task, again)
            if second_mark == mark and settles(report, second):
                report = together(report, second)
                break
            report, mark = await self._anew(task, report, second, second_mark)
        return Result(Checked(task.tenant_id, task.label, task.config.kind, mark, report))

    async def _anew(self, task: Task, first: CheckReport, second: CheckReport, mark: str) -> tuple[CheckReport, str]:
        """Something turned between the looks: a full look counts, and costs what all of them cost."""
        if second.partial:
            full, mark = await self.look(task, task.question)
            second = together(second, full)
        return together(first, second), mark


def _misconfigured(task: Task, message: str, status: ExitStatus) -> Result:
    return _without_a_look(task, untried(task.question.manifest, "misconfigured", utc_now()), message, status)


def _unfetched(task: Task, message: str) -> Result:
    return _without_a_look(task, unfetched(task.question.manifest, utc_now()), message, ExitStatus.UNDECIDED)


def _without_a_look(task: Task, report: CheckReport, message: str, status: ExitStatus) -> Result:
    checked = Checked(task.tenant_id, task.label, task.config.kind, None, report)
    return Result(checked, CheckError(task.tenant_id, message, status))
