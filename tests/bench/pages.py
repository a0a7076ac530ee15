"""How long the pages take with many tenants and a long past, while people read and a sweep writes."""

import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from sqlalchemy import URL, make_url, select

from monitor.incidents.changes import Position
from monitor.reporting.event_list_queries import EventPlace
from monitor.reporting.notice_list import NoticePlace
from monitor.reporting.tenant_list import TenantPlace
from monitor.store.burst_tables import BURST
from monitor.store.database import Database
from monitor.store.tables import TENANT
from monitor.web.lists.history import HISTORY
from monitor.web.lists.notices import NOTICES
from monitor.web.lists.tenants import TENANTS
from monitor.web.pages.history import CHANGES
from tests.bench.bulk_load import load
from tests.bench.figures import Figure, Part
from tests.bench.made_rows import tenant_id
from tests.bench.made_year import BUSY_TENANT, END, MadeYear
from tests.bench.readers import Order
from tests.bench.sizes import Sizes

READERS = 20
CHECKS_A_SECOND = 10  # 14 times what 10,000 tenants every four hours need
MOST_MILLISECONDS = 100
MOST_KILOBYTES = 60
MOST_STATEMENTS = 8

_OLDER = re.compile(r'href="([^"]*)">Next ')


@dataclass(frozen=True, slots=True)
class Asked:
    """`path` may begin with `>`: the next page of that one."""

    name: str
    path: str

    @property
    def is_page(self) -> bool:
        return not self.path.startswith("/api/")


def percentile(values: Sequence[float], share: float) -> float:
    """0 where nothing was measured."""
    ordered = sorted(values) or [0.0]
    return ordered[min(len(ordered) - 1, int(len(ordered) * share / 100))]


def all_asked(year: MadeYear, all_burst: int, small_burst: int) -> Sequence[Asked]:
    """Every page and list in the ways that people use."""
    permission = year.permissions[year.asked[10]]
    label = quote(permission.label)
    one, busy = tenant_id(year.tenants // 2), tenant_id(BUSY_TENANT)
    long_ago = END - timedelta(days=year.days * 0.6)
    since, until = (END - timedelta(days=days) for days in (7, 5))
    deep = TENANTS.keyset.cursor(TenantPlace(4, END - timedelta(days=1, minutes=year.tenants // 2), ""))
    events, notices = year.events * 4 // 10, year.events // 20
    past = CHANGES.cursor(Position(long_ago, 10**9))
    past_event = HISTORY.keyset.cursor(EventPlace(long_ago, events))
    past_notice = NOTICES.keyset.cursor(NoticePlace(False, notices))
    return [
        Asked("overview", "/"),
        Asked("overview, page 2", ">/"),
        Asked("overview, all tenants", "/?status=any"),
        Asked("overview, all tenants, in the middle", f"/?status=any&after={deep}"),
        Asked("overview, drifted", "/?status=drifted"),
        Asked("overview, who lacks a permission", f"/?status=any&missing={permission.id}"),
        Asked("overview, a CSM's", "/?status=any&csm=reader.07@vendor.example"),
        Asked("overview, search by name", f"/?status=any&q={quote('Customer 0' + f'{year.tenants // 2:05}')}"),
        Asked("overview, search without result", "/?status=any&q=zebra"),
        Asked("overview, failing through us", "/?fault=ours"),
        Asked("tenant", f"/tenants/{one}"),
        Asked("tenant, a year", f"/tenants/{one}?days=365"),
        Asked("tenant with 5,000 events", f"/tenants/{busy}"),
        Asked("tenant with 5,000 events, a year", f"/tenants/{busy}?days=365"),
        Asked("history", "/history"),
        Asked("history, page 2", ">/history"),
        Asked("history, months ago", f"/history?after={past}"),
        Asked("history, lost", "/history?kind=lost"),
        Asked("history, a permission", f"/history?permission={label}"),
        Asked("history, a tenant", f"/history?tenant={busy}"),
        Asked("history, two days", f"/history?since={since:%Y-%m-%d}&until={until:%Y-%m-%d}"),
        Asked("burst, small", f"/bursts/{small_burst}"),
        Asked("burst of all tenants", f"/bursts/{all_burst}"),
        Asked("burst of all tenants, page 2", f">/bursts/{all_burst}"),
        Asked("permissions", "/permissions"),
        Asked("incidents", "/incidents"),
        Asked("incidents, open", "/incidents?open=true"),
        Asked("incidents, a tenant's", f"/incidents?tenant={busy}"),
        Asked("sweeps", "/sweeps"),
        Asked("notices", "/notices"),
        Asked("notices, sent", "/notices?status=sent"),
        Asked("notices, sent, in the middle", f"/notices?after={past_notice}"),
        Asked("notices, a tenant's", f"/notices?tenant={busy}"),
        Asked("notices, a reader's", "/notices?reader=reader.07"),
        Asked("notices of a burst", f"/notices?burst={small_burst}"),
        Asked("notice", f"/notices/{notices}"),
        Asked("writes", "/writes"),
        Asked("operators", "/operators"),
        Asked("operators, search", "/operators?q=agreed"),
        Asked("report", "/report"),
        Asked("report, page 2", "/report?page=2"),
        Asked("tenant's report", f"/tenants/{one}/report"),
        Asked("API: status", "/api/v1/status"),
        Asked("API: tenants", "/api/v1/tenants"),
        Asked("API: 500 tenants", "/api/v1/tenants?limit=500"),
        Asked("API: verdicts", "/api/v1/verdicts"),
        Asked("API: who lacks a permission", f"/api/v1/verdicts?permission={permission.id}&verdict=missing"),
        Asked("API: history", "/api/v1/history"),
        Asked("API: history, months ago", f"/api/v1/history?cursor={past_event}"),
        Asked("API: history, a permission", f"/api/v1/history?permission={permission.id}"),
        Asked("API: history, a kind", "/api/v1/history?kind=credential_failed"),
        Asked("API: history, a tenant", f"/api/v1/history?tenant={busy}"),
        Asked("API: bursts", "/api/v1/bursts"),
        Asked("API: permissions", "/api/v1/permissions"),
        Asked("API: incidents", "/api/v1/incidents"),
        Asked("API: notices", "/api/v1/notices"),
        Asked("API: sweeps", "/api/v1/sweeps"),
    ]


class PageServer:
    """The process that serves; see page_server.py."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        began = json.loads(self._line())
        self.url: str = began["url"]
        self.cookie: str = began["cookie"]

    def done(self) -> Mapping[str, Any]:
        """What it did since this was asked last."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        done: Mapping[str, Any] = json.loads(self._line())
        return done

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


@contextmanager
def page_server(url: URL, checks_a_second: float) -> Iterator[PageServer]:
    address = url.render_as_string(hide_password=False)
    command = [sys.executable, "-m", "tests.bench.page_server", address, str(checks_a_second)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        server = PageServer(process)
        yield server
        assert process.stdin is not None
        process.stdin.close()


@dataclass(frozen=True, slots=True)
class Once:
    """A page asked for alone, the second time: processor time in ms, bytes, statements."""

    asked: Asked
    path: str
    cpu: float
    size: int
    statements: int


def each_once(server: PageServer, asked: Sequence[Asked]) -> list[Once]:
    """With nothing else going on, so that each statement is the page's own."""
    with _client(server) as client:
        return [_once(server, client, one) for one in asked]


def _client(server: PageServer) -> httpx.Client:
    # verify=False: all is plain http, and reading the certificates takes a second.
    return httpx.Client(
        base_url=server.url, headers={"Cookie": server.cookie}, trust_env=False, timeout=300, verify=False
    )


def _once(server: PageServer, client: httpx.Client, asked: Asked) -> Once:
    path = asked.path
    if path.startswith(">"):
        older = _OLDER.findall(client.get(path[1:]).text)
        path = unescape(older[-1]) if older else path[1:]
    client.get(path)
    server.done()
    answer = client.get(path)
    assert answer.status_code == 200, (path, answer.status_code, answer.text[:1000])
    done = server.done()
    return Once(asked, path, done["cpu_seconds"] * 1000, len(answer.content), done["statements"])


def read_by_many(
    server: PageServer, paths: Sequence[str], readers: int, seconds: float
) -> tuple[Mapping[str, list[float]], Mapping[str, Any]]:
    """Times in ms of each page, and what the server did meanwhile."""
    server.done()
    order = Order(server.url, server.cookie, paths, readers, seconds)
    command = [sys.executable, "-m", "tests.bench.readers"]
    answers = subprocess.run(
        command, input=json.dumps(asdict(order)) + "\n", stdout=subprocess.PIPE, text=True, check=True
    )
    found: dict[str, list[float]] = {}
    for line in answers.stdout.splitlines():
        path, milliseconds, _ = json.loads(line)
        found.setdefault(path, []).append(milliseconds)
    return found, server.done()


def measure(sizes: Sizes, kept: Path | None, postgres: str | None, folder: Path) -> Iterator[Part]:
    """One part for each size on SQLite, then one on Postgres; `kept` keeps the databases for the next time."""
    for year in sizes.years:
        file = (kept or folder) / f"year-of-{year.tenants}.sqlite3"
        yield _measured(URL.create("sqlite+aiosqlite", database=str(file)), year, sizes, made=file.exists())
    if postgres is not None:
        url = make_url(postgres).set(drivername="postgresql+psycopg")
        yield _measured(url, sizes.postgres_year, sizes, made=asyncio.run(_has_tenants(url)))


def _measured(url: URL, year: MadeYear, sizes: Sizes, *, made: bool) -> Part:
    if not made:
        asyncio.run(_with_tables(url))
        load(url, year)
    asked = asyncio.run(asked_of(url, year))
    with page_server(url, 0) as server:
        once = each_once(server, asked)
    with page_server(url, CHECKS_A_SECOND) as server:
        paths = [one.path for one in once]
        alone = _quiet(server, sizes.alone_seconds)
        report = _report(server)
        times, beside = read_by_many(server, paths, READERS, sizes.read_seconds)
    return _part(
        url, year, [Read(one, times.get(one.path, [])) for one in once], alone, beside, sizes.read_seconds, report
    )


def _quiet(server: PageServer, seconds: float) -> Mapping[str, Any]:
    """What the sweep does while nobody reads."""
    time.sleep(1)
    server.done()
    time.sleep(seconds)
    return server.done()


def _report(server: PageServer) -> float:
    """Seconds until it is there; it is kept for sixty times as long, so who reads seldom waits for it."""
    with _client(server) as client:
        began = time.perf_counter()
        client.get("/report").raise_for_status()
        return time.perf_counter() - began


@dataclass(frozen=True, slots=True)
class Read:
    once: Once
    times: Sequence[float]

    @property
    def cells(self) -> tuple[str, ...]:
        half, p95 = (f"{percentile(self.times, share):.0f}" if self.times else "" for share in (50, 95))
        return self.once.asked.name, half, p95, f"{self.once.cpu:.0f}", f"{self.once.size:,}", f"{self.once.statements}"


def _part(
    url: URL,
    year: MadeYear,
    read: Sequence[Read],
    alone: Mapping[str, Any],
    beside: Mapping[str, Any],
    seconds: float,
    report: float,
) -> Part:
    name = "SQLite" if url.get_backend_name() == "sqlite" else "Postgres"
    pages = [one for one in read if one.once.asked.is_page]
    about = f"{year.tenants:,} tenants on {name}"
    all_times = [milliseconds for one in read for milliseconds in one.times]
    slow = [one for one in read if one.times and percentile(one.times, 95) >= MOST_MILLISECONDS]
    figures = [
        Figure(f"pages and lists with a p95 of {MOST_MILLISECONDS} ms or more, {about}", len(slow), aim=1),
        Figure(f"p95 of all answers, {about}", percentile(all_times, 95), "ms", MOST_MILLISECONDS),
        Figure(f"largest page, {about}", max(one.once.size for one in pages) / 1000, "kB", MOST_KILOBYTES),
        Figure(
            f"most statements of a page, {about}", max(one.once.statements for one in pages), aim=MOST_STATEMENTS + 1
        ),
        Figure(f"answers a second, {about}", len(all_times) / seconds, "/s"),
        Figure(f"the report of all tenants, made anew, {about}", report, "s"),
    ]
    for what, done in (("nobody reads", alone), (f"{READERS} read", beside)):
        figures += [
            Figure(f"from claim to record while {what}, median, {about}", percentile(done["checks"], 50), "ms"),
            Figure(f"from claim to record while {what}, p95, {about}", percentile(done["checks"], 95), "ms"),
            Figure(f"event loop late while {what}, p95, {about}", percentile(done["loop"], 95), "ms"),
        ]
    return Part(
        "pages",
        f"Pages: {about}, {year.days} days, {year.events:,} drift events",
        figures,
        [
            f"{READERS} readers, each with a pause of about a second after each answer, on a process of their own; "
            f"{CHECKS_A_SECOND} checks a second are claimed and recorded meanwhile. Processor time, bytes and "
            "statements are of one answer alone, the second one."
        ],
        [_HEAD, *(one.cells for one in read)],
    )


_HEAD = ("", "p50, ms", "p95, ms", "processor, ms", "bytes", "statements")


async def _with_tables(url: URL) -> None:
    db = Database(url)
    await db.schema_state()
    await db.migrate()
    await db.close()


async def _has_tenants(url: URL) -> bool:
    await _with_tables(url)
    db = Database(url)
    async with db.reading() as conn:
        found = (await conn.execute(select(TENANT.c.id).limit(1))).first()
    await db.close()
    return found is not None


async def asked_of(url: URL, year: MadeYear) -> Sequence[Asked]:
    db, b = Database(url), BURST.c
    async with db.reading() as conn:
        largest = select(b.id).order_by(b.tenants.desc(), b.id).limit(1)
        small = select(b.id).where(b.tenants.between(2, 400)).order_by(b.tenants.desc(), b.id.desc()).limit(1)
        of_all, few = [(await conn.execute(each)).scalar_one() for each in (largest, small)]
    await db.close()
    return all_asked(year, of_all, few)
