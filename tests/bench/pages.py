"""How long the pages take with many tenants and a long past, while people read and a sweep writes."""

import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from html import unescape
from typing import Any
from urllib.parse import quote

import httpx
from sqlalchemy import URL

from monitor.incidents.changes import Position
from monitor.reporting.event_list_queries import EventPlace
from monitor.reporting.notice_list import NoticePlace
from monitor.reporting.tenant_list import TenantPlace
from monitor.web.lists.history import HISTORY
from monitor.web.lists.notices import NOTICES
from monitor.web.lists.tenants import TENANTS
from monitor.web.pages.history import CHANGES
from tests.bench.figures import Figure, Part
from tests.bench.made_rows import tenant_id
from tests.bench.made_year import BUSY_TENANT, END, MadeYear
from tests.bench.readers import Order

CHECKS_A_SECOND = 10  # 14 times what 10,000 tenants every four hours need
MOST_MILLISECONDS = 100
MOST_BYTES = 60_000
MOST_STATEMENTS = 8

_OLDER = re.compile(r'href="([^"]*)">Next ')


@dataclass(frozen=True, slots=True)
class Asked:
    """`path` may begin with `>`: the next page of that one."""

    name: str
    path: str
    is_page: bool = True


@dataclass(frozen=True, slots=True)
class PageTimes:
    """Of one page: times in ms while others read too; bytes and statements of one answer."""

    asked: Asked
    times: Sequence[float]
    size: int
    statements: int

    @property
    def half(self) -> float:
        return statistics.median(self.times)

    @property
    def p95(self) -> float:
        return percentile(self.times, 95)

    @property
    def cells(self) -> tuple[str, ...]:
        return (
            self.asked.name,
            f"{self.half:.0f}",
            f"{self.p95:.0f}",
            f"{max(self.times):.0f}",
            f"{self.size:,}",
            f"{self.statements}",
        )


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
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
        Asked("notices, sent, in the middle", f"/notices?after={NOTICES.keyset.cursor(NoticePlace(False, notices))}"),
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
        Asked("API: status", "/api/v1/status", is_page=False),
        Asked("API: tenants", "/api/v1/tenants", is_page=False),
        Asked("API: 500 tenants", "/api/v1/tenants?limit=500", is_page=False),
        Asked("API: verdicts", "/api/v1/verdicts", is_page=False),
        Asked("API: who lacks a permission", f"/api/v1/verdicts?permission={permission.id}&verdict=missing", is_page=False),
        Asked("API: history", "/api/v1/history", is_page=False),
        Asked("API: history, months ago", f"/api/v1/history?cursor={HISTORY.keyset.cursor(EventPlace(long_ago, events))}", is_page=False),
        Asked("API: history, a permission", f"/api/v1/history?permission={permission.id}", is_page=False),
        Asked("API: history, a kind", "/api/v1/history?kind=credential_failed", is_page=False),
        Asked("API: history, a tenant", f"/api/v1/history?tenant={busy}", is_page=False),
        Asked("API: bursts", "/api/v1/bursts", is_page=False),
        Asked("API: permissions", "/api/v1/permissions", is_page=False),
        Asked("API: incidents", "/api/v1/incidents", is_page=False),
        Asked("API: notices", "/api/v1/notices", is_page=False),
        Asked("API: sweeps", "/api/v1/sweeps", is_page=False),
    ]  # fmt: skip


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
    """A page asked for alone, twice: the second time is the figure."""

    asked: Asked
    path: str
    milliseconds: float
    size: int
    statements: int


def each_once(url: URL, asked: Sequence[Asked]) -> list[Once]:
    """Alone and with nothing written, so that each statement is the page's own."""
    with page_server(url, 0) as server, _client(server) as client:
        return [_once(server, client, one) for one in asked]


def _once(server: PageServer, client: httpx.Client, asked: Asked) -> Once:
    path = asked.path
    if path.startswith(">"):
        first = client.get(path[1:])
        older = _OLDER.findall(first.text)
        assert older, path
        path = unescape(older[-1])
    client.get(path)
    server.done()
    began = time.perf_counter()
    answer = client.get(path)
    milliseconds = (time.perf_counter() - began) * 1000
    assert answer.status_code == 200, (path, answer.status_code, answer.text[:1000])
    return Once(asked, path, milliseconds, len(answer.content), server.done()["statements"])


def _client(server: PageServer) -> httpx.Client:
    # verify=False: all is plain http, and reading the certificates takes a second.
    return httpx.Client(
        base_url=server.url, headers={"Cookie": server.cookie}, trust_env=False, timeout=300, verify=False
    )


def read_by_many(server: PageServer, paths: Sequence[str], readers: int, seconds: float) -> Mapping[str, list[float]]:
    order = Order(server.url, server.cookie, paths, readers, seconds)
    command = [sys.executable, "-m", "tests.bench.readers"]
    answers = subprocess.run(
        command, input=json.dumps(asdict(order)) + "\n", capture_output=True, text=True, check=True
    ).stdout
    found: dict[str, list[float]] = {}
    for line in answers.splitlines():
        path, milliseconds, _ = json.loads(line)
        found.setdefault(path, []).append(milliseconds)
    return found
