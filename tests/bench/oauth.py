"""Checks of Harvest v3 a second, beside bare introspections in the same minutes; and everybody's sweep."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from checks.v3.gate import INTROSPECT, lists
from monitor.config.settings import Settings
from monitor.sandbox.greenhouse.scopes import scope_names
from tests.bench.answers import Exchange
from tests.bench.figures import Figure, Part
from tests.bench.load import AT_ONCE, Took, bare, fast_transport, service, sweep
from tests.bench.pipeline import FIRST, LATER, profile
from tests.bench.sampler import sampling
from tests.bench.sizes import Sizes
from tests.bench.vendor import Vendor
from tests.sandbox_v3_asking import V3Asker, v3_asker

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


def partner() -> V3Asker:
    """The one client of a partner: every customer's token is its own, and the answers about all of them are alike."""
    return v3_asker("gem", grant="partner")


def exchanges(ours: V3Asker) -> Sequence[Exchange]:
    """Introspection of a token that carries just what Gem needs; then the lists that it may read."""
    form = {"token": ours.client.issue(), "token_type_hint": "access_token"}
    told = ours.post("/introspect", form)
    asked = replace(INTROSPECT, body=f"token={form['token']}&token_type_hint=access_token".encode())
    entries = [entry for name, entry in lists().items() if name in scope_names("gem")]
    listed = [ours.ask(f"GET {entry.target}", form["token"]) for entry in entries]
    read = [Exchange(entry, answer.status, answer.body) for entry, answer in zip(entries, listed, strict=True)]
    return [Exchange(asked, told.status, told.body), *read]


def vendor(folder: Path, tenants: int, ours: V3Asker) -> Vendor:
    """As `Vendor.of`, with a token for each tenant and one client for all."""
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
    return Vendor(folder, tenants)


def measure(address: str, sizes: Sizes, folder: Path) -> Part:
    """In blocks that take turns, as `pipeline` does; then everybody, twice."""
    return asyncio.run(_measure(address, partner(), sizes, folder))


async def _measure(address: str, ours: V3Asker, sizes: Sizes, folder: Path) -> Part:
    table = exchanges(ours)[:REQUESTS_EACH]
    some = vendor(folder / "some", sizes.pipeline, ours)
    took: dict[str, Took] = defaultdict(Took)
    async with service(_settings(some, address), folder / "log") as few:
        for first in range(1, sizes.pipeline, sizes.block):
            block = range(first, first + sizes.block)
            async with fast_transport() as transport:
                took[BARE] += await bare(address, table[:1], len(block) * REQUESTS_EACH, transport)
            async with fast_transport() as transport:
                took[BOTH] += await bare(address, table, len(block), transport)
            took[FIRST] += await sweep(few, block, REQUESTS_EACH)
            took[LATER] += await sweep(few, block, REQUESTS_EACH)
        with sampling() as samples:
            sampled = await sweep(few, range(1, sizes.profile + 1), REQUESTS_EACH)
    everybody = vendor(folder / "everybody", sizes.rows, ours)
    async with service(_settings(everybody, address), folder / "log") as many:
        swept = [await sweep(many, range(1, sizes.rows + 1), REQUESTS_EACH) for _ in range(2)]
    return Part(
        "oauth",
        f"Harvest v3: {sizes.pipeline:,} tenants, {REQUESTS_EACH} requests each, {AT_ONCE} at once, politeness off",
        [*_rates(took), *_costs(took), *profile(samples.seconds, sampled.tenants, "a v3 check"), *_everybody(swept)],
        [
            "A check is an introspection, one list, and two transactions. Bare introspections use the engine that the "
            "product uses, with connections kept open; a check opens a connection of its own."
        ],
    )


def _settings(of: Vendor, address: str) -> Settings:
    return of.loaded(harvest_url=address, auth_url=address)


def _rates(took: Mapping[str, Took]) -> list[Figure]:
    introspections, both = took[BARE].requests / took[BARE].seconds, took[BOTH].tenants / took[BOTH].seconds
    checks = {name: took[name].tenants / took[name].seconds for name in (FIRST, LATER)}
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


def _costs(took: Mapping[str, Took]) -> list[Figure]:
    cost = {name: each.cpu_milliseconds_each for name, each in took.items()}
    return [
        Figure("processor time for each bare introspection", cost[BARE], "ms"),
        *(Figure(f"processor time for each v3 check: {name}", cost[name], "ms") for name in (FIRST, LATER)),
        Figure("10,000 later v3 checks in 4 h, share of one core", cost[LATER] * 10_000 / 144_000, "%"),
    ]


def _everybody(swept: Sequence[Took]) -> list[Figure]:
    return [
        Figure(f"{took.tenants:,} v3 tenants: {name}", took.seconds, "s")
        for name, took in zip((FIRST, LATER), swept, strict=True)
    ]
