"""The demo's course of events, told while it happens; what is shown comes from the database and the mailbox."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from checks.credential import CredentialKind
from checks.errors import HarvestMonitorError
from monitor.cli.demo.journal import Verb
from monitor.cli.demo.setup import TENANTS, DemoSetup
from monitor.drift import EventKind
from monitor.incidents.history_queries import PastEvent, Wanted, events
from monitor.store.database import Database
from monitor.tenants.overview_queries import TenantLine, tenants

POLL_SECONDS = 0.3
COLUMNS = ("TENANT", "KIND", "STATE", "GRANTED", "MISSING", "UNDECIDED", "BEYOND", "STORY")
REMARKS = (
    "On v1, 16 write permissions are not checked: write probes are off unless allowed. On v3, scopes tell of writes.",
    "Weyland stands for all: this imitation has retired v1 for it and for requests without a key. The other keys live",
    "on, so that there is something to show. How Greenhouse answers to keys of v1 now is on no record.",
)
ONE_LOST = "GET: List offers"
SEVERAL_LOST = ("GET: List Candidates", "GET: Retrieve job", "GET: List interviews for application")


class DemoStuck(HarvestMonitorError):
    """What was to happen did not happen in time."""


class DemoScript:
    def __init__(self, stage: DemoSetup, db: Database, console: Console) -> None:
        self._stage = stage
        self._db = db
        self._console = console

    async def tell(self) -> None:
        """From the first sweep to the repair; about a minute."""
        self._say(f"[bold]1.[/] A first look at {len(TENANTS)} tenants: about 50 harmless requests with a key of v1,")
        self._console.print("   two on v3, one of which asks the auth server what the token carries")
        await self._until("the first sweep", self._all_looked_at)
        await self._show_tenants()
        self._say("[bold]2.[/] An admin at Globex unticks one permission, one at Initech unticks three")
        self._stage.do(Verb.UNTICK, "globex", ONE_LOST)
        self._stage.do(Verb.UNTICK, "initech", *SEVERAL_LOST)
        await self._wait_for(EventKind.LOST, 1 + len(SEVERAL_LOST), "seen missing, and again a moment later")
        self._say("[bold]3.[/] The mail reaches Globex's CSM; the admin ticks the permission again")
        await self._mail_arrives("globex")
        self._stage.do(Verb.TICK, "globex", ONE_LOST)
        await self._wait_for(EventKind.REGAINED, 1, "one look is enough for what comes back")
        await self._mail_arrives("globex", 2)
        await self._show_history()
        self._show_mail()

    def _say(self, text: str) -> None:
        self._console.print(f"\n{text}")

    async def _until(self, what: str, waiting: Callable[[], Awaitable[str | None]]) -> None:
        """Shows what `waiting` says until it has nothing left to say; DemoStuck after a minute and a half."""
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
            raise DemoStuck(f"{what} did not come in time; see {self._stage.folder / 'service.log'}") from None

    async def _all_looked_at(self) -> str | None:
        lines = await self._tenants()
        done = sum(line.last_checked_at is not None and not line.total("suspects") for line in lines)
        settled = done == len(TENANTS) and all(c.suspect_state is None for line in lines for c in line.credentials)
        return None if settled else f"looked at {done} of {len(TENANTS)} tenants"

    async def _wait_for(self, kind: EventKind, count: int, how: str) -> None:
        async def found() -> str | None:
            seen = await self._events(kind)
            return None if len(seen) >= count else f"{len(seen)} of {count} found by the sweeps going on"

        await self._until(f"the event {kind}", found)
        for event in await self._events(kind):
            name, label = escape(event.tenant_name), escape(event.permission_label or "")
            self._console.print(f"   [bold]{kind}[/] {name}: {escape(event.permission_group or '')} › {label}")
        self._console.print(f"   [dim]({how})[/]")

    async def _mail_arrives(self, tenant_id: str, count: int = 1) -> None:
        async def arrived() -> str | None:
            return None if len(self._mails(tenant_id)) >= count else "waiting for the mail"

        await self._until("the mail", arrived)

    def _mails(self, begins: str = "") -> list[Path]:
        found = self._stage.mail.glob(f"{begins}*.html") if self._stage.mail.exists() else []
        return sorted(found, key=lambda path: path.stat().st_mtime)

    async def _tenants(self) -> Sequence[TenantLine]:
        async with self._db.reading() as conn:
            return await tenants(conn)

    async def _events(self, kind: EventKind | None = None) -> Sequence[PastEvent]:
        async with self._db.reading() as conn:
            return await events(conn, Wanted(kind=kind))

    async def _show_tenants(self) -> None:
        stories = {customer.id: customer.story for customer in TENANTS}
        table = Table(*COLUMNS, box=None, pad_edge=False)
        for line in await self._tenants():
            counts = [str(line.total(count)) for count in ("granted", "missing", "undecided", "excess")]
            kinds = "+".join(CredentialKind(kind).version for kind in line.kinds)
            table.add_row(line.name, kinds, line.state.value, *counts, stories[line.id])
        self._console.print(table)
        for remark in REMARKS:
            self._console.print(f"   [dim]{remark}[/]")

    async def _show_history(self) -> None:
        self._say("[bold]What was recorded[/]")
        table = Table("AT", "TENANT", "KIND", "WHAT", box=None, pad_edge=False)
        for event in await self._events():
            table.add_row(clock(event.at), event.tenant_name, event.kind, what(event))
        self._console.print(table)

    def _show_mail(self) -> None:
        self._say("[bold]Mails written[/] (each also as .eml)")
        for path in self._mails():
            self._console.print(f"   {path}", soft_wrap=True)


def clock(at: datetime) -> str:
    return at.strftime("%H:%M:%SZ")


def what(event: PastEvent) -> str:
    if event.permission_label is None:
        return f"{event.state or ''} {event.detail}".strip()
    return event.permission_label
