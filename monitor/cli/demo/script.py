"""The demo's script, explained as it plays; what it shows comes from the database and the mailbox."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from checks.credential import CredentialKind
from checks.errors import HarvestMonitorError
from checks.manifest import load
from monitor.checking.recheck_queries import make_due
from monitor.cli.demo.journal import Verb
from monitor.cli.demo.setup import CHECKED, SEVERAL, TENANTS, DemoSetup
from monitor.clock import utc_now
from monitor.drift import EventKind
from monitor.incidents.history_queries import PastEvent, Wanted, events
from monitor.notices.notice_queries import count_held
from monitor.store.database import Database
from monitor.tenants.overview_queries import TenantLine, tenants
from monitor.tenants.scope_acceptance_queries import accept

POLL_SECONDS = 0.3
COLUMNS = ("TENANT", "KIND", "STATE", "GRANTED", "MISSING", "UNDECIDED", "BEYOND", "STORY")
REMARKS = (
    "On v1, 16 write permissions are not checked: write probes are off by default. On v3, scopes include writes.",
    "Weyland stands for all v1 keys: in this imitation v1 is retired for it and for requests without a key. The others",
    "still work, to have something to show. Greenhouse does not document how it answers v1 keys now.",
)
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
        self._say(f"[bold]1.[/] The first check of {len(CHECKED)} tenants: about 50 harmless requests with a v1 key,")
        self._console.print("   two on v3, one of which asks the auth server for the token's scopes")
        await self._accept_scopes()
        await self._until("the first sweep", self._all_checked)
        await self._show_tenants()
        self._say("[bold]2.[/] An admin at Globex unticks one permission, one at Initech unticks three")
        self._setup.do(Verb.UNTICK, "globex", ONE_LOST)
        self._setup.do(Verb.UNTICK, "initech", *SEVERAL_LOST)
        await self._wait_for(EventKind.LOST, 1 + len(SEVERAL_LOST), "found missing, and confirmed a moment later")
        self._say("[bold]3.[/] Their CSMs get emails, and Globex's admin ticks the permission again. Meanwhile three")
        self._console.print("   tenants on v3 lose one permission at the same moment")
        await self._mail_arrives("globex")
        await self._mail_arrives("initech")
        await self._mend_one_and_lose_together()
        await self._wait_for(EventKind.REGAINED, 1, "one check is enough for a restored permission")
        await self._mail_arrives("globex", 2)
        await self._until("the brake", self._held)
        await self._mail_arrives("harvest-monitor-mail-to-csms-is-held")
        self._console.print(
            "   Emails about the three are held: chance does not explain it, so it may be Greenhouse or us."
        )
        self._console.print("   The operator gets one email instead, and decides.")
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
        async with self._db.writing() as conn:
            await make_due(conn, ["globex", *(customer.id for customer in TOGETHER)], utc_now())

    async def _held(self) -> str | None:
        async with self._db.reading() as conn:
            held = await count_held(conn)
        return None if held else "no email is held yet"

    async def _wait_for(self, kind: EventKind, count: int, how: str) -> None:
        async def found() -> str | None:
            seen = await self._events(kind)
            return None if len(seen) >= count else f"{len(seen)} of {count} found so far"

        await self._until(f"the event {kind}", found)
        for event in await self._events(kind):
            name, label = escape(event.tenant_name), escape(event.permission_label or "")
            self._console.print(f"   [bold]{kind}[/] {name}: {escape(event.permission_group or '')} › {label}")
        self._console.print(f"   [dim]({how})[/]")

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
        table = Table(*COLUMNS, box=None, pad_edge=False)
        for line in await self._tenants():
            counts = [str(line.total(count)) for count in ("granted", "missing", "undecided", "excess")]
            kinds = "+".join(CredentialKind(kind).version for kind in line.kinds)
            table.add_row(line.name, kinds, line.state.value, *counts, situations[line.id])
        self._console.print(table)
        for remark in REMARKS:
            self._console.print(f"   [dim]{remark}[/]")

    async def _show_history(self) -> None:
        self._say("[bold]What was recorded[/]")
        table = Table("AT", "TENANT", "KIND", "WHAT", box=None, pad_edge=False)
        for event in await self._events():
            table.add_row(time_of_day(event.at), event.tenant_name, event.kind, subject_of(event))
        self._console.print(table)

    def _show_mails(self) -> None:
        self._say("[bold]Emails written[/] (each also as .eml)")
        for path in self._mails():
            self._console.print(f"   {path}", soft_wrap=True)


def time_of_day(at: datetime) -> str:
    return at.strftime("%H:%M:%SZ")


def subject_of(event: PastEvent) -> str:
    """The permission, or the state of the credential as a whole."""
    if event.permission_label is None:
        return f"{event.state or ''} {event.detail}".strip()
    return event.permission_label
