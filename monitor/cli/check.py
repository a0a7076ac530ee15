"""`check`: check tenants' credentials now, once."""

import asyncio
import sys
from collections.abc import Iterable, Sequence
from itertools import starmap
from pathlib import Path

import structlog
import typer

from checks.catalogue.entry import WriteProbes
from checks.errors import HarvestMonitorError
from checks.manifest import Manifest, load
from checks.report import WriteAlarm
from monitor.assembly import Assembly
from monitor.breaker.circuit_breaker import CircuitBreaker
from monitor.breaker.machine import Limits, State, Transition
from monitor.checking.check_document import CheckError, ExitStatus, alarm_error, document, exit_status
from monitor.checking.check_limits import concurrency
from monitor.checking.check_runner import CheckOnce, CheckRunner, RecordingCheck, Result, UnrecordedCheck
from monitor.checking.credential_check import CheckTask
from monitor.checking.write_halt import LocalWriteHalt
from monitor.cli.check_output import LiveProgress, show
from monitor.cli.console import complain, print_json, tell
from monitor.cli.tenant_ids import tenant_ids
from monitor.clock import utc_now
from monitor.config import settings_loader
from monitor.errors import ConfigurationError
from monitor.logs import configure
from monitor.metrics import Metrics
from monitor.notices.wording import counted
from monitor.store.database import open_database
from monitor.tenants.fingerprint_key import installation_key, registered_key
from monitor.tenants.targets import CheckTargets, without_effect
from monitor.version import VERSION

log = structlog.get_logger()

EXAMPLE = "Example: harvest-monitor check acme --json | jq '.checks[] | {tenant, outcome}'"


def command(
    tenant: list[str] | None = typer.Argument(
        None, autocompletion=tenant_ids, help="Ids of tenants; if left out, all that are not paused."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document on stdout; progress goes to stderr."),
    tenants_file: Path | None = typer.Option(None, "--tenants", help="The tenants file, instead of the setting."),
    write_probes: WriteProbes | None = typer.Option(
        None, help="Which write probes may be sent, instead of the setting: none, those to id 0, or all."
    ),
    manifest: str | None = typer.Option(
        None, help="A built-in name or a path: check under this manifest, whatever settings and tenants name."
    ),
    record: bool = typer.Option(False, "--record", help="Also write what is found into the database, as `serve` does."),
) -> int:
    """Check credentials now, and again a minute later where the first check finds trouble.

    Exit status, the first that applies:

      4    write alarm
      130  interrupted
      70   internal error
      2    a mistake in the call, the settings or the tenants file
      1    drift, or a credential that is invalid or blocked
      3    undecided or unreachable
      0    compliant
    """
    try:
        results, errors = _run(frozenset(tenant or ()), tenants_file, write_probes, manifest, record)
    except HarvestMonitorError as problem:
        results, errors = [], [CheckError(None, str(problem))]
    except Exception as problem:  # even for a bug: with --json, stdout is exactly one document
        results, errors = [], [CheckError(None, _broken(problem), ExitStatus.INTERNAL)]
    checked = [result.checked for result in results]
    if as_json:
        print_json(document(checked, errors))
    else:
        show(checked)
        for error in errors:
            complain(error.message if error.tenant_id is None else f"{error.tenant_id}: {error.message}")
    return exit_status(checked, errors)


def _broken(problem: Exception) -> str:
    log.error("check_broke_off", exc_info=problem)
    return f"the check broke off ({type(problem).__name__}): see the log on stderr, and please report it"


def _run(
    wanted: frozenset[str],
    tenants_file: Path | None,
    write_probes: WriteProbes | None,
    manifest: str | None,
    record: bool,
) -> tuple[list[Result], list[CheckError]]:
    if record and manifest is not None:
        raise ConfigurationError(
            "--manifest and --record do not go together: what is recorded is checked under the manifest of the "
            "settings or the tenants file. Leave one out, or set HARVEST_MONITOR_MANIFEST"
        )
    given = {"tenants": tenants_file, "write_probes": write_probes}
    settings = settings_loader.load(**{name: value for name, value in given.items() if value is not None})
    configure(settings.log_level, settings.log_format, sys.stderr)
    assembly = Assembly(settings)
    targets = assembly.targets(assembly.registry()) if manifest is None else _trial_targets(assembly, load(manifest))
    errors = [*_problems(targets, wanted), *_unknown(targets, wanted, settings.tenants)]
    paused = frozenset(target.tenant.id for target in targets.all if target.tenant.paused is not None)
    if record:
        errors += _not_recorded(wanted & paused)
    if not wanted and paused:
        tell(f"paused in the tenants file, so not checked: {', '.join(sorted(paused))}; name one to check it anyway")
    run_all = _recorded if record else _unrecorded
    tasks = _tasks(targets, wanted, frozenset() if wanted and not record else paused)
    _tell_manifests(tasks)
    transitions: list[Transition] = []
    breaker = CircuitBreaker(Limits.of(settings.confirm_after.total_seconds()).for_good(), [transitions.append])
    results, alarms = asyncio.run(run_all(assembly, tasks, breaker))
    errors += [result.error for result in results if result.error is not None]
    errors += [*starmap(alarm_error, alarms), *_paused(transitions), *_stopped(len(tasks) - len(results))]
    return results, errors


def _trial_targets(assembly: Assembly, manifest: Manifest) -> CheckTargets:
    targets = assembly.trial_targets(manifest)
    unknown = without_effect(targets.file.tenants, manifest)
    if unknown:
        tell(f"not in the manifest {manifest.name}, so without effect: {', '.join(unknown)}")
    return targets


def _tell_manifests(tasks: Iterable[CheckTask]) -> None:
    """The default is Gem's: another vendor that has not set its own has to see it."""
    for manifest in {task.request.manifest.digest: task.request.manifest for task in tasks}.values():
        tell(f"checking what {manifest.title} requires (manifest {manifest.name} {manifest.version})")


Alarms = Sequence[tuple[str | None, WriteAlarm]]


def _paused(transitions: Iterable[Transition]) -> list[CheckError]:
    """The breaker of a command pauses once, and for good."""
    return [
        CheckError(
            None,
            f"nothing more was sent, because {trouble.in_trouble} of the last {counted(trouble.tenants, 'tenant')} "
            f"were in trouble ({', '.join(f'{number} {sign}' for sign, number in trouble.by_sign.items())}): see "
            "whether Greenhouse has an incident, whether this machine's address may ask, and what `doctor --network` "
            "says; then run `check` again",
            ExitStatus.UNDECIDED,
        )
        for trouble in (transition.trouble for transition in transitions if transition.after is State.PAUSED)
    ]


def _stopped(left: int) -> list[CheckError]:
    if left <= 0:
        return []
    return [CheckError(None, f"stopped: {counted(left, 'credential')} not checked to the end", ExitStatus.STOPPED)]


def _problems(targets: CheckTargets, wanted: frozenset[str]) -> list[CheckError]:
    """The rows that cannot be used: those of the named tenants, or all if none is named. A row without an id always."""
    return [
        CheckError(problem.tenant_id, problem.message)
        for problem in targets.file.problems
        if not wanted or problem.tenant_id is None or problem.tenant_id in wanted
    ]


def _unknown(targets: CheckTargets, wanted: frozenset[str], path: Path) -> list[CheckError]:
    return [
        CheckError(name, f"{path} has no tenant {name!r}: correct the id, or leave it out to check every tenant")
        for name in sorted(wanted - targets.file.ids)
    ]


def _not_recorded(paused: frozenset[str]) -> list[CheckError]:
    return [
        CheckError(name, "not checked: the tenant is paused, so nothing is recorded of it; leave out --record")
        for name in sorted(paused)
    ]


def _tasks(targets: CheckTargets, wanted: frozenset[str], without: frozenset[str]) -> list[CheckTask]:
    return [
        CheckTask(target.tenant.id, target.credential, target.request, target.permitted)
        for target in targets.all
        if (not wanted or target.tenant.id in wanted) and target.tenant.id not in without
    ]


async def _unrecorded(
    assembly: Assembly, tasks: list[CheckTask], breaker: CircuitBreaker
) -> tuple[list[Result], Alarms]:
    halt = LocalWriteHalt()
    check = assembly.credential_check(Metrics(VERSION), breaker, installation_key(assembly.settings))
    return await _run_all(assembly, tasks, UnrecordedCheck(check, halt)), halt.alarms


async def _recorded(assembly: Assembly, tasks: list[CheckTask], breaker: CircuitBreaker) -> tuple[list[Result], Alarms]:
    """The database first: nothing is asked that cannot be recorded."""
    metrics = Metrics(VERSION)
    db = await open_database(assembly.settings.database, assembly.settings.database_pool_size)
    try:
        await assembly.tenant_sync(db, metrics).load(utc_now())
        halt = assembly.write_halt(db, assembly.renderer())
        check = assembly.credential_check(metrics, breaker, await registered_key(db, assembly.settings, utc_now()))
        results = await _run_all(assembly, tasks, RecordingCheck(check, halt, assembly.recorded_check(db)))
        await halt.store()
        if not halt.stored:
            complain(
                "the write halt could not be stored: stop the service, repair the database, and run `writes status`"
            )
        return results, halt.alarms
    finally:
        await db.close()


async def _run_all(assembly: Assembly, tasks: list[CheckTask], check: CheckOnce) -> list[Result]:
    with LiveProgress(len(tasks)) as progress:
        runner = CheckRunner(check, assembly.drift_policy, concurrency(assembly.settings), progress)
        return await runner.run(tasks)
