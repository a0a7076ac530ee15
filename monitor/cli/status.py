"""`status`: the service in ten lines. Is it well, and if not, what next?"""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import typer
from sqlalchemy.exc import SQLAlchemyError

from monitor.breaker.machine import State as BreakerState
from monitor.checking.check_document import ExitStatus
from monitor.cli.console import age, complain, print_json, say, say_facts
from monitor.cli.database import require_file
from monitor.cli.tenant_list import by_status
from monitor.clock import utc_now
from monitor.config import settings_loader
from monitor.config.settings import Settings
from monitor.errors import StoreError
from monitor.incidents.status import PRESENT, TenantStatus
from monitor.notices.wording import counted
from monitor.reporting import service_queries
from monitor.reporting.headline import STANDS_STILL_AFTER, Headline, ServiceFacts, Tone, headline
from monitor.reporting.sentence import clock
from monitor.reporting.service_queries import DAY
from monitor.reporting.status_counts import StatusCount
from monitor.store.database import Database, database_as_it_is
from monitor.store.migrations import schema_state

_STYLES = {Tone.BAD: "bold red", Tone.WARN: "bold yellow", Tone.CALM: "bold green"}
EXAMPLE = "Example: harvest-monitor status --json | jq .headline"


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    facts: ServiceFacts
    changes: Sequence[StatusCount]
    headline: Headline

    @property
    def well(self) -> bool:
        return self.headline.tone is Tone.CALM


def command(as_json: bool = typer.Option(False, "--json", help="Print one JSON document.")) -> int:
    """The service in ten lines: whether it is well, what is held or waits, and what to do next; changes nothing.

    Exit status: 0 it is well, 1 something needs a person, 3 it cannot be told, as the database cannot be read.
    """
    settings, now = settings_loader.load(), utc_now()
    try:
        found = asyncio.run(_read(settings, now))
    except StoreError as problem:
        if as_json:
            print_json({"well": None, "error": str(problem)})
        complain(str(problem))
        return ExitStatus.UNDECIDED
    if as_json:
        print_json(_document(found))
    else:
        say(found.headline.said.plain, style=_STYLES[found.headline.tone])
        say_facts(_facts(found), states=TenantStatus)
    return ExitStatus.COMPLIANT if found.well else ExitStatus.TROUBLE


async def _read(settings: Settings, now: datetime) -> ServiceStatus:
    require_file(settings.database)
    db = database_as_it_is(settings.database)
    try:
        await _require_tables(db)
        async with db.reading() as conn:
            paused_at = await service_queries.reported_pause(conn, now - settings.interval - STANDS_STILL_AFTER)
            breaker = BreakerState.PAUSED if paused_at else None
            facts = await service_queries.facts(conn, now, settings, breaker, paused_at)
            changes = await service_queries.counts_since(conn, facts.tenants, now - DAY)
    finally:
        await db.close()
    return ServiceStatus(facts, changes, headline(facts))


async def _require_tables(db: Database) -> None:
    try:
        async with db.reading() as conn:
            state = await conn.run_sync(schema_state)
    except (SQLAlchemyError, OSError) as error:
        raise StoreError(f"the database {db.name} cannot be read ({type(error).__name__})") from error
    db.refuse_unless_current(state)


def _facts(found: ServiceStatus) -> dict[str, str]:
    facts = found.facts
    return {
        "Tenants": f"{facts.total:,}: {by_status(facts.tenants)}" if facts.total else "none",
        "Changes": _changes(found.changes),
        "Sweep": _sweep(facts),
        "Emails": _emails(facts),
        "Brake": f"holds {counted(facts.outbox.held, 'email')}" if facts.outbox.held else "holds nothing",
        "Writes": f"write probes are halted since {clock(facts.halt.at)}" if facts.halt else "no halt",
        "Checks": f"{facts.overdue:,} overdue; {_breaker(facts)}",
        "Data": _data(facts),
        "Next": found.headline.next_step or "nothing to do",
    }


def _changes(changes: Sequence[StatusCount]) -> str:
    moved = [f"{count.net:+,} {count.status}" for count in changes if count.net]
    came = sum(count.came for count in changes)
    return f"{counted(came, 'tenant')} in 24 h: {', '.join(moved) or 'as many each way'}" if came else "none in 24 h"


def _sweep(facts: ServiceFacts) -> str:
    sweep = facts.sweep
    if sweep.began is None:
        return "none yet"
    last = f"last complete one ended {clock(sweep.last_ended)}" if sweep.last_ended else "none complete yet"
    return f"{sweep.checked:,} of {sweep.planned:,} checked since {clock(sweep.began)}; {last}"


def _emails(facts: ServiceFacts) -> str:
    outbox = facts.outbox
    sent = f"last sent {clock(outbox.last_sent_at)}" if outbox.last_sent_at else "none sent yet"
    off = "notices are off; " if facts.notices_off else ""
    return f"{off}{outbox.held:,} held, {outbox.failed:,} failed, {outbox.pending:,} waiting; {sent}"


def _breaker(facts: ServiceFacts) -> str:
    if facts.breaker is None or facts.breaker_since is None:
        return "breaker not known here, see metrics"
    return f"a pause was reported {clock(facts.breaker_since)}"


def _data(facts: ServiceFacts) -> str:
    if facts.last_checked_at is None:
        return "no check was made yet"
    return f"last check {clock(facts.last_checked_at)}, {age(facts.last_checked_at, facts.now)} ago"


def _document(found: ServiceStatus) -> dict[str, Any]:
    facts, said = found.facts, found.headline
    return {
        "well": found.well,
        "headline": {"rule": said.rule, "tone": said.tone, "text": said.said.plain, "next_step": said.next_step},
        "tenants": {status: facts.tenants.get(status, 0) for status in PRESENT},
        "changes_24h": {one.status: {"came": one.came, "went": one.went} for one in found.changes},
        "sweep": asdict(facts.sweep),
        "emails": asdict(facts.outbox),
        "write_halt": asdict(facts.halt) if facts.halt else None,
        "breaker": {"state": facts.breaker, "reported_at": facts.breaker_since} if facts.breaker else None,
        "checks_overdue": facts.overdue,
        "suspects": facts.suspects,
        "ours_to_mend": facts.ours,
        "last_check_at": facts.last_checked_at,
        "data_age_seconds": _seconds(facts.now - facts.last_checked_at) if facts.last_checked_at else None,
    }


def _seconds(span: timedelta) -> int:
    return max(span, timedelta(0)) // timedelta(seconds=1)
