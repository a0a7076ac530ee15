"""`tenants show`: how one tenant stands and why, who was told, and what happens next."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from checks.credential import CredentialState
from checks.manifest import load
from checks.reasons import DETAILS, REASONS
from checks.report import Verdict
from monitor.checking.check_document import ExitStatus
from monitor.cli.console import complain, print_json, say
from monitor.cli.database import moment, with_database
from monitor.cli.tenant_ids import tenant_ids
from monitor.cli.tenant_list import document
from monitor.clock import utc_now
from monitor.config.settings import Settings
from monitor.drift import KnownPermission
from monitor.reporting import tenant_list_queries, told_queries
from monitor.reporting.excess_words import MAY_HOLD_EVERYTHING, may_hold_everything, sentences
from monitor.reporting.sentence import clock
from monitor.reporting.tenant_list import TenantRow
from monitor.reporting.tenant_page_queries import tenant_page
from monitor.reporting.tenant_sentence import TenantHeadline, tenant_headline
from monitor.reporting.told import Told
from monitor.reporting.what_decides import what_decides
from monitor.store.database import Database
from monitor.tenants import overview_queries
from monitor.tenants.manifests import ManifestRegistry
from monitor.tenants.overview_queries import CredentialDetail, TenantLine

EXAMPLE = "Example: harvest-monitor tenants show acme"
_MARKS = ("missing", "suspect", "undecided")
EVENTS_OF = timedelta(days=90)  # in which it is looked up when something was lost


@dataclass(frozen=True, slots=True)
class ShownTenant:
    row: TenantRow
    line: TenantLine
    details: Sequence[CredentialDetail]
    told: Sequence[Told]
    headline: TenantHeadline


def command(
    tenant: str = typer.Argument(autocompletion=tenant_ids, help="The tenant's id."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> int:
    """How one tenant stands and since when, who was told, what happens next, and its credentials in detail."""

    now = utc_now()

    async def query(db: Database, settings: Settings) -> ShownTenant | None:
        async with db.reading() as conn:
            return await _read(conn, settings, tenant, now)

    shown = with_database(query)
    if shown is None:
        complain(f"no tenant {tenant!r} is recorded; `harvest-monitor tenants list` shows all tenants")
        return ExitStatus.USAGE
    if as_json:
        print_json(_document(shown, now))
    else:
        for text in [*_tenant_lines(shown, now), *(text for one in shown.details for text in _credential_lines(one))]:
            say(text, states=[shown.row.status, *_MARKS])
    return ExitStatus.COMPLIANT


async def _read(conn: AsyncConnection, settings: Settings, tenant: str, now: datetime) -> ShownTenant | None:
    row, found = await tenant_list_queries.one(conn, tenant), await overview_queries.tenant(conn, tenant)
    page = await tenant_page(
        conn, tenant, now - EVENTS_OF, now, lambda name: ManifestRegistry(load(settings.manifest)).manifest(name)
    )
    if row is None or found is None or page is None:
        return None
    return ShownTenant(row, *found, await told_queries.of_tenant(conn, tenant), tenant_headline(page))


def _document(shown: ShownTenant, now: datetime) -> dict[str, Any]:
    return {
        **document(shown.row, shown.line),
        "sentence": shown.headline.said.plain,
        "next": f"{shown.headline.next_step.plain} {_next_check(shown.row, now)}",
        "notices": [asdict(told) for told in shown.told],
        "credentials": [_credential_document(detail) for detail in shown.details],
    }


def _credential_document(detail: CredentialDetail) -> dict[str, Any]:
    permissions = [{"id": key, **_permission_document(known)} for key, known in sorted(detail.permissions.items())]
    excess = [{"endpoint": key, **asdict(known)} for key, known in sorted(detail.excess.items())]
    return {
        **asdict(detail.line),
        "permissions": permissions,
        "excess_permissions": excess,
        "may_hold_everything": may_hold_everything(detail.permissions.values()),
    }


def _permission_document(known: KnownPermission) -> dict[str, Any]:
    decides = what_decides(known.undecided_reason) if _is_undecided(known) else None
    return {**asdict(known), "what_decides": decides}


def _tenant_lines(shown: ShownTenant, now: datetime) -> list[str]:
    row, line = shown.row, shown.line
    lines = [f"{row.name} ({row.id}) is {row.status} since {clock(row.since)}.", shown.headline.said.plain]
    if line.paused:
        lines.append(f"  paused in the tenants file: {', '.join(filter(None, line.paused.values()))}")
    if row.problem:
        lines.append(f"  tenants file: {row.problem}")
    if line.incident_since:
        lines.append(f"  Its incident is open since {clock(line.incident_since)}.")
        lines += [f"  {told.said.plain}" for told in shown.told] or ["  Nobody was told: no email is due for it."]
    return [*lines, f"  {shown.headline.next_step.plain}", f"  {_next_check(row, now)}", ""]


def _next_check(row: TenantRow, now: datetime) -> str:
    if row.next_due is None:
        return "No check is planned."
    when = "due since" if row.next_due <= now else "at"
    return f"The next check is {when} {clock(row.next_due)}."


def _credential_lines(detail: CredentialDetail) -> list[str]:
    c = detail.line
    lines = [
        f"{c.label} ({c.kind}, {c.fingerprint or 'no secret has worked yet'})",
        f"  credential: {_state(detail)}",
        f"  last check {moment(c.last_checked_at) or 'never'}, next {moment(c.next_due) or 'not planned'}",
        f"  {c.granted} granted, {c.missing} missing, {c.undecided} undecided, {c.unchecked} unchecked",
    ]
    if c.suspect_state:
        lines.append(f"  suspect: seen {c.suspect_state} once, to be confirmed")
    worst_first = sorted(detail.permissions.values(), key=lambda known: (not known.missing, not known.suspect))
    lines += [text for known in worst_first for text in _permission_lines(known)]
    lines += _undecided_lines(detail.permissions.values())
    return lines + _excess_lines(detail)


def _excess_lines(detail: CredentialDetail) -> list[str]:
    """The first of them, and since when the newest is there; --json has all."""
    lines = [f"  {sentence}" for sentence in sentences(detail.excess.values())]
    if lines:
        lines[-1] += f"; the newest since {moment(max(one.since for one in detail.excess.values()))}"
    if may_hold_everything(detail.permissions.values()):
        lines.append(f"  {MAY_HOLD_EVERYTHING}")
    return lines


def _state(detail: CredentialDetail) -> str:
    c = detail.line
    if c.state is CredentialState.OK:
        return "not checked yet" if c.last_checked_at is None else "Greenhouse accepts it"
    return f"{c.state}, {DETAILS.get(c.detail, c.detail)} ({c.detail}) since {moment(c.state_since)}"


def _permission_lines(known: KnownPermission) -> list[str]:
    what = f"{known.group} › {known.label}"
    lines = []
    if known.missing:
        lines.append(f"  missing: {what}, since {moment(known.since)}{_answered(known)}")
    if known.suspect:
        seen = "granted" if known.missing else "missing"
        lines.append(f"  suspect: {what}, seen {seen} at {moment(known.suspect_since)}, to be confirmed")
    return lines


def _answered(known: KnownPermission) -> str:
    return f", answered {known.answered_status}" if known.answered_status else ""


def _undecided_lines(permissions: Iterable[KnownPermission]) -> list[str]:
    """By reason: what they have in common is said once."""
    by_reason: dict[str, list[KnownPermission]] = {}
    for known in filter(_is_undecided, permissions):
        by_reason.setdefault(known.undecided_reason or "", []).append(known)
    lines = []
    for reason, of_it in sorted(by_reason.items(), key=lambda item: -len(item[1])):
        lines.append(f"  {len(of_it)} undecided, because {REASONS.get(reason, reason or 'no reason was recorded')}.")
        lines.append(f"    It is decided by {what_decides(reason)}.")
        lines += [
            f"    undecided: {one.group} › {one.label}, since {moment(one.undecided_since)}"
            f"{'' if one.missing else _answered(one)}"
            for one in of_it
        ]
    return lines


def _is_undecided(known: KnownPermission) -> bool:
    return known.undecided_as is Verdict.UNDECIDED
