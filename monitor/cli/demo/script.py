"""The demo's script, explained as it plays; what it shows comes from the database and the mailbox."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from checks.credential import CredentialKind
from checks.errors import HarvestMonitorError
from checks.manifest import load
from monitor.checking.recheck_queries import make_due
from monitor.cli.demo.event_lines import of_event, subject_of, time_of_day
from monitor.cli.demo.glossary import OF_CONFIRMATION, OF_EVENTS, OF_TENANTS, OF_THE_BRAKE, REMARKS, explain
from monitor.cli.demo.hints import shown_path
from monitor.cli.demo.journal import Verb
from monitor.cli.demo.setup import CHECKED, SEVERAL, TENANTS, DemoSetup
from monitor.cli.state_colours import cell
from monitor.clock import utc_now
from monitor.drift import EventKind
from monitor.incidents.history_queries import PastEvent, Wanted, events
from monitor.notices.notice_queries import count_held
from monitor.reporting import tenant_list_queries
from monitor.reporting.tenant_list import TenantFilter
from monitor.store.database import Database
from monitor.tenants.overview_queries import TenantLine, tenants
from monitor.tenants.scope_acceptance_queries import accept

POLL_SECONDS = 0.3
COLUMNS = ("TENANT", "KIND", "STATUS", "GRANTED", "MISSING", "UNDECIDED", "STORY")
ONE_LOST = "GET: List offers"
LOST_BY_SEVERAL = "GET: List sources"
SEVERAL_LOST = ("GET: List Candidates", "GET: Retrieve job", "GET: List interviews for application")
TOGETHER = tuple(customer for customer in TENANTS if customer.situation == SEVERAL)


class DemoStuck(HarvestMonitorError):
    """An expected event did not happen in time."""


class DemoScript:
    def __init__(self, setup: DemoSetup, db: Database, console: Console) -> None:
        self._setup = setup
        self._db = db
        self._console = console

    async def play(self) -> None:
        """From the first sweep to the repair; about a minute."""
        self._say(
            f"[bold]1.[/] The first check of {len(CHECKED)} tenants, with requests that change nothing: about 100"
        )
        self._console.print("   for a v1 key, and two on v3, one of which asks for the token's scopes")
        await self._accept_scopes()
        await self._until("the first sweep", self._all_checked)
        await self._show_tenants()
        self._say("[bold]2.[/] An admin at Globex unticks one permission, one at Initech unticks three")
        self._setup.do(Verb.UNTICK, "globex", ONE_LOST)
        self._setup.do(Verb.UNTICK, "initech", *SEVERAL_LOST)
        await self._check_now("globex", "initech")
        await self._wait_for(EventKind.LOST, 1 + len(SEVERAL_LOST), OF_CONFIRMATION)
        self._say("[bold]3.[/] Their CSMs get emails, and Globex's admin ticks the permission again.")
        self._console.print("   Meanwhile three tenants on v3 lose one permission at the same moment")
        await self._mail_arrives("globex")
        await self._mail_arrives("initech")
        await self._mend_one_and_lose_together()
        await self._wait_for(EventKind.REGAINED, 1)
        await self._mail_arrives("globex", 2)
        await self._until("the brake", self._held)
        await self._mail_arrives("*held")
        self._console.print("   Emails about the three are [yellow]held[/]: chance does not explain it, so it may be")
        self._console.print("   Greenhouse or us. The operator gets one email instead, and decides.")
        explain(self._console, OF_THE_BRAKE)
        await self._show_history()
        self._show_mails()

    def _say(self, text: str) -> None:
        self._console.print(f"\n{text}")

    async def _until(self, what: str, waiting: Callable[[], Awaitable[str | None]]) -> None:
        """Show the status that `waiting` gives until it gives None; DemoStuck after a minute and a half."""
        shown = None
        try:
            with self._console.status(what) as status:
                async with asyncio.timeout(90):
                    while (text := await waiting()) is not None:
                        status.update(text)
                        if text != shown and not self._console.is_terminal:
                            self._console.print(f"   {text}")
                        shown = text
                        await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            raise DemoStuck(f"{what} did not happen in time; see {self._setup.folder / 'service.log'}") from None

    async def _all_checked(self) -> str | None:
        lines = await self._tenants()
        done = sum(line.last_checked_at is not None and not line.total("suspects") for line in lines)
        settled = done == len(CHECKED) and all(c.suspect_state is None for line in lines for c in line.credentials)
        return None if settled else f"{done} of {len(CHECKED)} tenants checked"

    async def _accept_scopes(self) -> None:
        """As the operator would: until then no CSM is told what a customer on v3 lost."""
        async with self._db.writing() as conn:
            await accept(conn, load("gem"), "demo", "the sandbox has exactly these scopes", utc_now())

    async def _mend_one_and_lose_together(self) -> None:
        self._setup.do(Verb.TICK, "globex", ONE_LOST)
        for customer in TOGETHER:
            self._setup.do(Verb.UNTICK, customer.id, LOST_BY_SEVERAL)
        # All are checked at once: the email about the first of the three must not leave before the third is seen.
        await self._check_now("globex", *(customer.id for customer in TOGETHER))

    async def _check_now(self, *tenant_ids: str) -> None:
        async with self._db.writing() as conn:
            await make_due(conn, tenant_ids, utc_now())

    async def _held(self) -> str | None:
        async with self._db.reading() as conn:
            held = await count_held(conn)
        return None if held else "no email is held yet"

    async def _wait_for(self, kind: EventKind, count: int, words: Sequence[tuple[str, str]] = ()) -> None:
        async def found() -> str | None:
            seen = await self._events(kind)
            return None if len(seen) >= count else f"{len(seen)} of {count} found so far"

        await self._until(f"the event {kind}", found)
        for event in await self._events(kind):
            of_event(event).show(self._console)
        if words:
            explain(self._console, words)

    async def _mail_arrives(self, tenant_id: str, count: int = 1) -> None:
        async def arrived() -> str | None:
            return None if len(self._mails(tenant_id)) >= count else "waiting for the email"

        await self._until("the email", arrived)

    def _mails(self, prefix: str = "") -> list[Path]:
        found = self._setup.mail.glob(f"{prefix}*.html") if self._setup.mail.exists() else []
        return sorted(found, key=lambda path: path.stat().st_mtime)

    async def _tenants(self) -> Sequence[TenantLine]:
        async with self._db.reading() as conn:
            return await tenants(conn)

    async def _events(self, kind: EventKind | None = None) -> Sequence[PastEvent]:
        async with self._db.reading() as conn:
            return await events(conn, Wanted(kind=kind))

    async def _show_tenants(self) -> None:
        situations = {customer.id: customer.situation for customer in TENANTS}
        async with self._db.reading() as conn:
            statuses = {row.id: row.status for row in await tenant_list_queries.every(conn, TenantFilter())}
        table = Table(*COLUMNS, box=None, pad_edge=False)
        for line in await self._tenants():
            counts = [str(line.total(count)) for count in ("granted", "missing", "undecided")]
            kinds = "+".join(CredentialKind(kind).version for kind in line.kinds)
            table.add_row(line.name, kinds, cell("STATUS", statuses[line.id]), *counts, situations[line.id])
        self._console.print(table)
        explain(self._console, OF_TENANTS)
        for remark in REMARKS:
            self._console.print(f"   [dim]{remark}[/]")

    async def _show_history(self) -> None:
        self._say("[bold]What was recorded[/]")
        table = Table("AT", "TENANT", "KIND", "WHAT", box=None, pad_edge=False)
        for event in await self._events():
            table.add_row(time_of_day(event.at), event.tenant_name, cell("KIND", event.kind), subject_of(event))
        self._console.print(table)
        explain(self._console, OF_EVENTS)

    def _show_mails(self) -> None:
        self._say(f"[bold]Emails written[/] to {shown_path(self._setup.mail)}/ (each also as .eml)")
        for path in self._mails():
            self._console.print(f"   {path.name}", markup=False)
