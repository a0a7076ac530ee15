"""Harvest v3 checks a second, compared with bare introspections in the same minutes; and a sweep of all tenants."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from checks.v3.gate import INTROSPECT, lists
from monitor.config.settings import Settings
from monitor.sandbox.greenhouse.scopes import scope_names
from tests.bench.answers import Exchange
from tests.bench.figures import Figure, Part
from tests.bench.load import CONCURRENCY, Timing, bare, fast_transport, service, sweep
from tests.bench.pipeline import FIRST, LATER, profile
from tests.bench.sampler import sampling
from tests.bench.sizes import Sizes
from tests.bench.vendor import BenchVendor
from tests.sandbox_session import Clock
from tests.sandbox_v3_session import SandboxV3Session, sandbox_v3_session

BARE, BOTH = "bare introspections", "introspection and list, bare"
HALF = 0.5
REQUESTS_EACH = 2
_ROW = """\
  - id: customer-{number:05}
    name: Customer {number:05} Inc.
    csm: {{name: Dana Reyes, email: dana.{number:05}@vendor.example}}
    credential: {{kind: harvest-oauth, label: Gem, grant: partner, organization: {organization}, token: "{token}",
      client_id: "{client_id}", client_secret: "{client_secret}"}}
"""


def partner() -> SandboxV3Session:
    """The single client of a partner: each customer has its own token, and all answers are alike."""
    # By the real clock: an active token whose end lies in the past would be a contradiction.
    return sandbox_v3_session("gem", clock=Clock(time.time()), grant="partner")


def exchanges(ours: SandboxV3Session) -> Sequence[Exchange]:
    """Introspection of a token with exactly the scopes Gem needs; then the lists that it may read."""
    form = {"token": ours.client.issue(), "token_type_hint": "access_token"}
    answer = ours.post("/introspect", form)
    entry = replace(INTROSPECT, body=f"token={form['token']}&token_type_hint=access_token".encode())
    entries = [entry for name, entry in lists().items() if name in scope_names("gem")]
    listed = [ours.send(f"GET {entry.target}", form["token"]) for entry in entries]
    read = [Exchange(list_, reply.status, reply.body) for list_, reply in zip(entries, listed, strict=True)]
    return [Exchange(entry, answer.status, answer.body), *read]


def vendor(folder: Path, tenants: int, ours: SandboxV3Session) -> BenchVendor:
    """As `BenchVendor.of`, with a token for each tenant and one client for all."""
    tokens = folder / "tokens"
    tokens.mkdir(parents=True)
    given = {"client-id": ours.client.client_id, "client-secret": ours.client.secret}
    given |= {f"tokens/{number:05}": ours.client.issue() for number in range(tenants)}
    for name, text in given.items():
        (folder / name).write_text(text, "ascii")
        (folder / name).chmod(0o600)
    files = {"client_id": f"file:{folder}/client-id", "client_secret": f"file:{folder}/client-secret"}
    rows = [
        _ROW.format(
            number=number, organization=ours.account.organization_id, token=f"file:{tokens}/{number:05}", **files
        )
        for number in range(tenants)
    ]
    (folder / "tenants.yaml").write_text("tenants:\n" + "".join(rows), "utf-8")
    return BenchVendor(folder, tenants)


def measure(address: str, sizes: Sizes, folder: Path) -> Part:
    """In alternating blocks, as in `pipeline`; then all tenants, twice."""
    return asyncio.run(_measure(address, partner(), sizes, folder))


async def _measure(address: str, ours: SandboxV3Session, sizes: Sizes, folder: Path) -> Part:
    table = exchanges(ours)[:REQUESTS_EACH]
    some = vendor(folder / "some", sizes.pipeline, ours)
    timings: dict[str, Timing] = defaultdict(Timing)
    async with service(_settings(some, address), folder / "log") as few:
        for first in range(1, sizes.pipeline, sizes.block):
            block = range(first, first + sizes.block)
            async with fast_transport() as transport:
                timings[BARE] += await bare(address, table[:1], len(block) * REQUESTS_EACH, transport)
            async with fast_transport() as transport:
                timings[BOTH] += await bare(address, table, len(block), transport)
            timings[FIRST] += await sweep(few, block, REQUESTS_EACH)
            timings[LATER] += await sweep(few, block, REQUESTS_EACH)
        with sampling() as samples:
            sampled = await sweep(few, range(1, sizes.profile + 1), REQUESTS_EACH)
    all_tenants = vendor(folder / "all", sizes.rows, ours)
    async with service(_settings(all_tenants, address), folder / "log") as many:
        swept = [await sweep(many, range(1, sizes.rows + 1), REQUESTS_EACH) for _ in range(2)]
    return Part(
        "oauth",
        f"Harvest v3: {sizes.pipeline:,} tenants, {REQUESTS_EACH} requests each, {CONCURRENCY} at once, politeness off",
        [
            *_rates(timings),
            *_costs(timings),
            *profile(samples.seconds, sampled.tenants, "a v3 check"),
            *_all_tenants(swept),
        ],
        [
            "A check is an introspection, one list, and two transactions. Bare introspections use the engine that the "
            "product uses, with connections kept open; each check opens its own connection."
        ],
    )


def _settings(of: BenchVendor, address: str) -> Settings:
    return of.loaded(harvest_url=address, auth_url=address)


def _rates(timings: Mapping[str, Timing]) -> list[Figure]:
    introspections, both = timings[BARE].requests / timings[BARE].seconds, timings[BOTH].tenants / timings[BOTH].seconds
    checks = {name: timings[name].tenants / timings[name].seconds for name in (FIRST, LATER)}
    return [
        Figure(f"{BARE} a second", introspections, "/s"),
        Figure(f"{BOTH}, a second", both, "/s"),
        *(Figure(f"v3 checks a second: {name}", rate, "/s") for name, rate in checks.items()),
        *(
            Figure(f"v3 checks for each bare introspection: {name}", rate / introspections, aim=HALF, under=False)
            for name, rate in checks.items()
        ),
        *(Figure(f"v3 checks for each bare pair of requests: {name}", rate / both) for name, rate in checks.items()),
    ]


def _costs(timings: Mapping[str, Timing]) -> list[Figure]:
    cost = {name: each.cpu_milliseconds_each for name, each in timings.items()}
    return [
        Figure("processor time for each bare introspection", cost[BARE], "ms"),
        *(Figure(f"processor time for each v3 check: {name}", cost[name], "ms") for name in (FIRST, LATER)),
        Figure("10,000 later v3 checks in 4 h, share of one core", cost[LATER] * 10_000 / 144_000, "%"),
    ]


def _all_tenants(swept: Sequence[Timing]) -> list[Figure]:
    return [
        Figure(f"{timing.tenants:,} v3 tenants: {name}", timing.seconds, "s")
        for name, timing in zip((FIRST, LATER), swept, strict=True)
    ]
