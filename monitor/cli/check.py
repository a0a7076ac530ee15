"""`check`: look at tenants' credentials now, once."""

import asyncio
import sys
from collections.abc import Iterable
from pathlib import Path

import structlog
import typer

from checks.catalogue.endpoints import WriteProbes
from checks.errors import HarvestMonitorError
from checks.manifest import load
from checks.report import WriteAlarm
from monitor.breaker.circuit_breaker import CircuitBreaker
from monitor.breaker.machine import Limits, State, Transition
from monitor.checking.check_document import CheckError, ExitStatus, document, exit_status
from monitor.checking.check_once import CheckRunner, Look, Result, Task, UnrecordedCheck
from monitor.checking.greenhouse import hold, open_greenhouse, places
from monitor.checking.recorded_check import RecordedCheck
from monitor.checking.write_halt import OneShotWriteGuard, WriteStop
from monitor.cli.check_output import LiveProgress, show
from monitor.cli.console import complain, print_json
from monitor.clock import utc_now
from monitor.config import settings as settings_module
from monitor.config.settings import Settings
from monitor.drift import DriftPolicy
from monitor.logs import configure
from monitor.metrics import Metrics
from monitor.notices.content.render import Renderer
from monitor.notices.policy import NoticePolicy
from monitor.store.database import open_database
from monitor.tenants import file
from monitor.tenants.credential_loader import CredentialLoader
from monitor.tenants.fingerprint_key import installation_key, noted_key
from monitor.tenants.manifests import ManifestRegistry
from monitor.tenants.sync import tenant_sync
from monitor.tenants.targets import CheckTargets, draw_up
from monitor.version import VERSION

log = structlog.get_logger()

EXAMPLE = "Example: harvest-monitor check acme --json | jq '.checks[] | {tenant, outcome}'"


def command(
    tenant: list[str] | None = typer.Argument(None, help="Ids of tenants; all of the tenants file if left out."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document on stdout; progress goes to stderr."),
    tenants_file: Path | None = typer.Option(None, "--tenants", help="The tenants file, instead of the setting."),
    write_probes: WriteProbes | None = typer.Option(None, help="Write probes, instead of the setting."),
    record: bool = typer.Option(False, "--record", help="Also write what is found into the database, as `serve` does."),
) -> int:
    """Look at credentials now, and again a minute later where the first look finds trouble.

    Exit status, the first that applies: 4 write alarm, 70 internal error, 2 a mistake in the call or the tenants
    file, 1 drift or a credential that is invalid, blocked or retired, 3 undecided or unreachable, 0 compliant.
    """
    try:
        results, errors = _run(frozenset(tenant or ()), tenants_file, write_probes, record)
    except HarvestMonitorError as problem:
        results, errors = [], [CheckError(None, str(problem))]
    except Exception as problem:
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
    wanted: frozenset[str], tenants_file: Path | None, write_probes: WriteProbes | None, record: bool
) -> tuple[list[Result], list[CheckError]]:
    given = {"tenants": tenants_file, "write_probes": write_probes}
    settings = settings_module.load(**{name: value for name, value in given.items() if value is not None})
    configure(settings.log_level, settings.log_format, sys.stderr)
    roster = draw_up(file.read(settings.tenants), ManifestRegistry(load(settings.manifest)), settings.write_probes)
    errors = [*_problems(roster, wanted), *_strangers(roster, wanted, settings.tenants)]
    look, tasks = _recorded if record else _unrecorded, _tasks(roster, wanted)
    turns: list[Transition] = []
    breaker = CircuitBreaker(Limits.of(settings.confirm_after.total_seconds()).for_good(), [turns.append])
    results, alarms = asyncio.run(look(settings, tasks, breaker))
    errors += [result.error for result in results if result.error is not None]
    errors += [*_alarms(alarms), *_paused(turns), *_stopped(len(tasks) - len(results))]
    return results, errors


Alarms = list[tuple[str, WriteAlarm]]


def _alarms(alarms: Alarms) -> list[CheckError]:
    """A write alarm is told with all that Greenhouse's support would ask for, whatever became of its check."""
    return [
        CheckError(
            tenant_id,
            f"write alarm: {alarm.endpoint} was answered {alarm.status} at {alarm.at:%Y-%m-%d %H:%M:%SZ} (request "
            f"{alarm.request_id or 'without an id'}, record {alarm.record_id or 'not named'}): no further write was "
            "sent; look at the record, and ask Greenhouse",
            ExitStatus.WRITE_ALARM,
        )
        for tenant_id, alarm in alarms
    ]


def _paused(turns: Iterable[Transition]) -> list[CheckError]:
    """The breaker of a command pauses once, and for good."""
    return [
        CheckError(
            None,
            f"nothing more was sent, because {turn.trouble.in_trouble} of the last {turn.trouble.tenants} tenants "
            f"were in trouble ({', '.join(f'{number} {sign}' for sign, number in turn.trouble.by_sign.items())}): see "
            "whether Greenhouse has an incident, and whether this machine's address may ask; then run `check` again",
            ExitStatus.UNDECIDED,
        )
        for turn in turns
        if turn.after is State.PAUSED
    ]


def _stopped(left: int) -> list[CheckError]:
    if left <= 0:
        return []
    return [CheckError(None, f"stopped: {left} credentials were not looked at to the end", ExitStatus.STOPPED)]


def _problems(roster: CheckTargets, wanted: frozenset[str]) -> list[CheckError]:
    """The rows that can not be used: those asked for, or all where nobody was named. A row without an id always."""
    return [
        CheckError(problem.tenant_id, problem.message)
        for problem in roster.file.problems
        if not wanted or problem.tenant_id is None or problem.tenant_id in wanted
    ]


def _strangers(roster: CheckTargets, wanted: frozenset[str], path: Path) -> list[CheckError]:
    return [
        CheckError(name, f"{path} has no tenant {name!r}: correct the id, or leave it out to check every tenant")
        for name in sorted(wanted - roster.file.ids)
    ]


def _tasks(roster: CheckTargets, wanted: frozenset[str]) -> list[Task]:
    return [
        Task(
            tenant_id=watched.tenant.id,
            config=watched.credential,
            question=watched.question,
            permitted=watched.permitted,
        )
        for watched in roster.watched.values()
        if not wanted or watched.tenant.id in wanted
    ]


async def _unrecorded(settings: Settings, tasks: list[Task], breaker: CircuitBreaker) -> tuple[list[Result], Alarms]:
    greenhouse = open_greenhouse(settings, Metrics(VERSION), breaker)
    guard = OneShotWriteGuard()
    look = UnrecordedCheck(greenhouse, guard, _keyring(settings, installation_key(settings)))
    return await _all(settings, tasks, look), guard.alarms


async def _recorded(settings: Settings, tasks: list[Task], breaker: CircuitBreaker) -> tuple[list[Result], Alarms]:
    """The database first: what can not be written down is not asked."""
    db = await open_database(settings.database)
    try:
        await tenant_sync(settings, db, Metrics(VERSION)).load(utc_now())
        stop = WriteStop(db, NoticePolicy.of(settings), Renderer(), utc_now)
        look = RecordedCheck(
            db,
            open_greenhouse(settings, Metrics(VERSION), breaker),
            _keyring(settings, await noted_key(db, settings, utc_now())),
            drift_policy=DriftPolicy(settings.confirm_after, settings.interval),
            write_stop=stop,
            hold=hold(settings),
            now=utc_now,
        )
        results = await _all(settings, tasks, look)
        await stop.store()
        if not stop.stored:
            complain("the write halt could not be stored: stop the service, mend the database, and run `writes status`")
        return results, stop.alarms
    finally:
        await db.close()


async def _all(settings: Settings, tasks: list[Task], look: Look) -> list[Result]:
    with LiveProgress(len(tasks)) as progress:
        one_shot = CheckRunner(look, settings.confirm_after.total_seconds(), places(settings), progress)
        return await one_shot.run(tasks)


def _keyring(settings: Settings, installation_key: bytes) -> CredentialLoader:
    return CredentialLoader(installation_key, settings.command_timeout.total_seconds())
