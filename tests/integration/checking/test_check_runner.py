"""`check` from the first check to the last: keys that change in between, results that are kept, costs that add up."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest

from checks.catalogue.entry import WriteProbes
from checks.check_request import CheckRequest
from checks.credential import CredentialKind, CredentialState
from checks.errors import CredentialError
from checks.manifest import load
from checks.report import CheckReport, Outcome, Verdict
from checks.wire.connection import ConnectionSettings
from monitor.checking.check_document import ExitStatus, exit_status
from monitor.checking.check_runner import CheckOnce, CheckRunner, Result, UnrecordedCheck
from monitor.checking.confirmation import MOST_CHECKS
from monitor.checking.credential_check import CheckTask, CredentialCheck
from monitor.checking.greenhouse import Greenhouse
from monitor.checking.write_halt import LocalWriteHalt
from monitor.drift.suspicion import Suspicion
from monitor.errors import ConfigurationError, StoreError
from monitor.sandbox.sandbox import Sandbox
from monitor.sandbox.server.run import running
from monitor.tenants.credential_loader import CredentialLoader
from monitor.tenants.file import CredentialConfig
from tests.installation import LIMITS, NullObserver
from tests.reports import DIGEST, KEY, OTHER_KEY, POLICY, T0, failed, served

REQUEST = CheckRequest(load("gem"))
MISSING = served({"jobs": "g", "offers": "m"})
STILL_MISSING = served({"offers": "m"}, partial=True)
INVALID = failed(CredentialState.INVALID)

Step = tuple[CheckReport, str] | Exception


def a_task(tenant_id: str = "acme", reference: str = "env:KEY") -> CheckTask:
    return CheckTask(
        tenant_id, CredentialConfig("Key", CredentialKind.HARVEST_KEY, reference, None), REQUEST, WriteProbes.OFF
    )


@dataclass
class ScriptedCheck:
    """Checks with the results of `steps`, one after the other; `asked` has the suspects of each."""

    steps: list[Step]
    asked: list[frozenset[str] | None] = field(default_factory=list)

    async def __call__(self, task: CheckTask, suspicion: Suspicion) -> tuple[CheckReport, str]:
        step = self.steps.pop(0)
        if isinstance(step, Exception):
            raise step
        report, fingerprint = step
        self.asked.append(suspicion.only(fingerprint, DIGEST))
        return report, fingerprint


@dataclass
class ProgressRecorder:
    """What a command would have shown: which checks began, waited and ended."""

    began_at: list[str] = field(default_factory=list)
    waited: list[float] = field(default_factory=list)
    ended_at: list[str] = field(default_factory=list)

    def began(self, task: CheckTask) -> None:
        self.began_at.append(task.tenant_id)

    def waits(self, task: CheckTask, seconds: float) -> None:
        self.waited.append(seconds)

    def ended(self, task: CheckTask, result: Result) -> None:
        self.ended_at.append(task.tenant_id)


async def no_wait(seconds: float) -> None:
    """Returns at once."""


async def run(
    check: CheckOnce, tasks: Sequence[CheckTask], progress: ProgressRecorder | None = None, concurrency: int = 10
) -> list[Result]:
    return await CheckRunner(check, POLICY, concurrency, progress or ProgressRecorder(), no_wait).run(tasks)


async def one(*steps: Step) -> tuple[Result, ScriptedCheck]:
    script = ScriptedCheck(list(steps))
    [result] = await run(script, [a_task()])
    assert script.steps == [], "not every check was made"
    return result, script


def status(*results: Result) -> ExitStatus:
    return exit_status([r.checked for r in results], [r.error for r in results if r.error is not None])


def missing(result: Result) -> list[str]:
    return [finding.permission_id for finding in result.checked.report.missing]


async def test_a_key_without_a_missing_permission_is_checked_once() -> None:
    """Without waiting for a second check."""
    result, script = await one((served({"jobs": "g"}), KEY))
    assert (status(result), script.asked) == (ExitStatus.COMPLIANT, [None])


async def test_what_is_missing_twice_with_one_key_is_missing() -> None:
    """One wait, and one second check of the suspect only."""
    progress, script = ProgressRecorder(), ScriptedCheck([(MISSING, KEY), (STILL_MISSING, KEY)])
    [result] = await run(script, [a_task()], progress)
    assert (missing(result), script.asked, progress.waited) == (["offers"], [None, frozenset({"offers"})], [60.0])
    assert status(result) is ExitStatus.TROUBLE


async def test_a_key_replaced_between_the_checks_is_checked_from_the_beginning() -> None:
    """What the old key lacked no longer matters; what the new one lacks is confirmed with the new one."""
    result, script = await one(
        (MISSING, KEY),
        (served({"jobs": "m", "offers": "g"}), OTHER_KEY),
        (served({"jobs": "m"}, partial=True), OTHER_KEY),
    )
    assert (missing(result), result.checked.fingerprint) == (["jobs"], OTHER_KEY)
    assert script.asked == [None, None, frozenset({"jobs"})]


async def test_a_new_key_with_every_permission_is_compliant_whatever_the_old_one_lacked() -> None:
    """The old key's verdicts are not merged in, neither granted nor missing."""
    result, _ = await one((MISSING, KEY), (served({"jobs": "g", "offers": "g"}), OTHER_KEY))
    assert (result.checked.report.outcome, status(result)) == (Outcome.COMPLIANT, ExitStatus.COMPLIANT)
    assert result.checked.fingerprint == OTHER_KEY


async def test_what_a_new_key_lacks_is_not_reported_after_one_check() -> None:
    """Missing once with the old key and once with the new one is not twice: granted in the end, it is granted."""
    result, _ = await one(
        (MISSING, KEY),
        (MISSING, OTHER_KEY),
        (served({"offers": "g"}, partial=True), OTHER_KEY),
    )
    assert (missing(result), status(result)) == ([], ExitStatus.COMPLIANT)


async def test_a_refused_key_that_is_replaced_by_one_that_works_is_not_invalid() -> None:
    """And what the new one lacks is confirmed before it is reported."""
    result, script = await one((INVALID, KEY), (MISSING, OTHER_KEY), (STILL_MISSING, OTHER_KEY))
    assert (result.checked.report.state, missing(result)) == (CredentialState.OK, ["offers"])
    assert script.asked == [None, None, frozenset({"offers"})]


async def test_a_key_refused_between_the_checks_is_invalid_once_that_is_confirmed() -> None:
    """The key is refused in the second check, of the suspects, and again in a full one."""
    result, script = await one((MISSING, KEY), (failed(CredentialState.INVALID, partial=True), KEY), (INVALID, KEY))
    assert (result.checked.report.state, status(result)) == (CredentialState.INVALID, ExitStatus.TROUBLE)
    assert script.asked == [None, frozenset({"offers"}), None]


async def test_a_key_refused_only_once_is_not_invalid() -> None:
    """Refused in the second check, served again in the full one after it; what was missing twice is missing."""
    result, _ = await one(
        (MISSING, KEY),
        (failed(CredentialState.INVALID, partial=True), KEY),
        (MISSING, KEY),
    )
    assert (result.checked.report.state, missing(result)) == (CredentialState.OK, ["offers"])


async def test_a_second_check_without_an_answer_leaves_the_first_unconfirmed() -> None:
    """Neither missing nor compliant: the exit status is that of undecided."""
    silent = replace(served({"offers": "u"}, partial=True), state=CredentialState.UNREACHABLE)
    result, _ = await one((MISSING, KEY), (silent, KEY))
    [offers] = [f for f in result.checked.report.findings if f.permission_id == "offers"]
    assert (offers.verdict, offers.reason) == (Verdict.UNDECIDED, "unconfirmed")
    assert status(result) is ExitStatus.UNDECIDED


async def test_checks_of_a_key_that_always_changes_end() -> None:
    """A key store that gives another key each time makes nobody wait forever."""
    asked: list[frozenset[str] | None] = []

    async def check(task: CheckTask, suspicion: Suspicion) -> tuple[CheckReport, str]:
        fingerprint = f"key-{len(asked)}"
        asked.append(suspicion.only(fingerprint, DIGEST))
        return MISSING, fingerprint

    [result] = await run(check, [a_task()])
    assert asked == [None] * MOST_CHECKS
    assert (result.error, result.checked.fingerprint) == (None, f"key-{MOST_CHECKS - 1}")
    assert (missing(result), status(result)) == ([], ExitStatus.UNDECIDED)


async def test_the_cost_of_every_check_is_in_the_report() -> None:
    """Requests and seconds of all four checks of a replaced key add up; the report starts with the first."""

    def costing(report: CheckReport, requests: int) -> CheckReport:
        began = T0 + timedelta(minutes=requests - 1)
        return replace(report, requests=requests, duration_seconds=requests / 2, started_at=began)

    result, _ = await one(
        (costing(MISSING, 1), KEY),
        (costing(failed(CredentialState.INVALID, partial=True), 20), KEY),
        (costing(MISSING, 300), OTHER_KEY),
        (costing(STILL_MISSING, 4000), OTHER_KEY),
    )
    report = result.checked.report
    assert (report.requests, report.duration_seconds, report.started_at) == (4321, 2160.5, T0)


# What a check raises, the exit status, and a word of the message.
BROKEN: list[tuple[Exception, ExitStatus, str]] = [
    (ConfigurationError("env:KEY is not set"), ExitStatus.USAGE, "env:KEY is not set"),
    (CredentialError("the key holds a line break"), ExitStatus.USAGE, "line break"),
    (StoreError("the database is locked"), ExitStatus.USAGE, "the database is locked"),
    (RuntimeError("s3cret"), ExitStatus.INTERNAL, "RuntimeError"),
]


@pytest.mark.parametrize(("problem", "exit_with", "word"), BROKEN, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("second", [False, True], ids=["first_check", "second_check"])
async def test_a_check_that_fails_affects_its_own_task_only(
    problem: Exception, exit_with: ExitStatus, word: str, second: bool
) -> None:
    """The others have results, in the order of the tasks; its own is misconfigured, with the reason."""

    async def check(task: CheckTask, suspicion: Suspicion) -> tuple[CheckReport, str]:
        if task.tenant_id != "broken":
            return served({"jobs": "g"}), KEY
        if second and suspicion.fingerprint is None:
            return MISSING, KEY
        raise problem

    before, broken, after = await run(check, [a_task("before"), a_task("broken"), a_task("after")])
    assert [before.checked.tenant_id, after.checked.tenant_id] == ["before", "after"]
    assert status(before, after) is ExitStatus.COMPLIANT
    assert status(before, broken, after) is exit_with
    assert broken.checked.report.state is CredentialState.MISCONFIGURED
    assert broken.error is not None
    assert (broken.error.tenant_id, broken.checked.fingerprint) == ("broken", None)
    assert word in broken.error.message
    assert "s3cret" not in broken.error.message


async def test_a_cancelled_run_returns_the_results_so_far() -> None:
    """Two of three have ended, one hangs: the two are returned in order, and the run does not raise."""
    both_done, progress = asyncio.Event(), ProgressRecorder()

    async def check(task: CheckTask, suspicion: Suspicion) -> tuple[CheckReport, str]:
        if task.tenant_id == "hangs":
            await asyncio.Event().wait()
        if task.tenant_id == "last":
            both_done.set()
        return served({"jobs": "g"}), KEY

    running_one = asyncio.create_task(run(check, [a_task("first"), a_task("hangs"), a_task("last")], progress))
    await both_done.wait()
    await asyncio.sleep(0)
    running_one.cancel()
    assert [result.checked.tenant_id for result in await running_one] == ["first", "last"]
    assert (progress.began_at, progress.ended_at) == (["first", "hangs", "last"], ["first", "last"])


async def test_no_more_checks_run_at_once_than_the_concurrency_allows() -> None:
    """Of five tasks two run at any time, and all five end."""
    now = most = 0

    async def check(task: CheckTask, suspicion: Suspicion) -> tuple[CheckReport, str]:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.01)
        now -= 1
        return served({"jobs": "g"}), KEY

    assert len(await run(check, [a_task(f"t{n}") for n in range(5)], concurrency=2)) == 5
    assert most == 2


async def against_sandbox(folder: Path, sandbox: Sandbox, meanwhile: Callable[[], None]) -> Result:
    """One `check` over HTTP of the key in the folder; `meanwhile` runs in the first wait for a second check."""
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        if not waits:
            meanwhile()
        waits.append(seconds)

    async with running(sandbox) as url:
        greenhouse = Greenhouse(url, "harvest-monitor/test", ConnectionSettings(), LIMITS, NullObserver())
        check = UnrecordedCheck(CredentialCheck(greenhouse, CredentialLoader(b"key" * 11, 5, {})), LocalWriteHalt())
        [result] = await CheckRunner(check, POLICY, 1, ProgressRecorder(), sleep).run(
            [a_task(reference=f"file:{folder / 'key'}")]
        )
    return result


async def test_a_key_replaced_in_its_file_while_a_check_waits_is_read_again(tmp_path: Path) -> None:
    """Over HTTP: the old key lacks offers, the new one lacks jobs; only the new one's is reported."""
    sandbox = Sandbox()
    sandbox.add_account("acme", limit=1_000_000)
    key = sandbox.add_key("acme", "gem")
    key.untick("GET /v1/offers")
    (tmp_path / "key").write_text(key.text)

    def replaced() -> None:
        new = sandbox.rotate("acme")
        new.tick("GET /v1/offers")
        new.untick("GET /v1/jobs")
        (tmp_path / "key").write_text(new.text)

    result = await against_sandbox(tmp_path, sandbox, replaced)
    report = result.checked.report
    assert [finding.endpoint for finding in report.missing] == ["GET /v1/jobs"]
    assert report.state is CredentialState.OK
    assert report.requests == sandbox.request_log.request_count


async def test_a_key_killed_while_a_check_waits_is_invalid(tmp_path: Path) -> None:
    """Over HTTP: it lacks a permission at first, and is refused as a whole from the second check on."""
    sandbox = Sandbox()
    sandbox.add_account("acme", limit=1_000_000)
    key = sandbox.add_key("acme", "gem")
    key.untick("GET /v1/offers")
    (tmp_path / "key").write_text(key.text)
    result = await against_sandbox(tmp_path, sandbox, key.kill)
    assert (result.checked.report.state, missing(result)) == (CredentialState.INVALID, [])
    assert status(result) is ExitStatus.TROUBLE
