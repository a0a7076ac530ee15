"""How much is measured: full size, or a small one that shows in seconds that everything works."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sizes:
    """`apart`: what is measured has its own core. `serve` is observed with the largest number of `growth`."""

    pipeline: int
    block: int
    profile: int
    growth: tuple[int, ...]
    idle_seconds: float
    pace_seconds: float
    rows: int
    year_tenants: int
    year_days: int
    probes: int
    interval: str = "4h"
    requests_per_second: float = 2
    apart: bool = True


FULL = Sizes(
    pipeline=1000,
    block=50,
    profile=200,
    growth=(100, 1000, 10_000),
    idle_seconds=60,
    pace_seconds=180,
    rows=10_000,
    year_tenants=5,
    year_days=365,
    probes=20_000,
)
QUICK = Sizes(
    pipeline=4,
    block=2,
    profile=2,
    growth=(2, 4),
    idle_seconds=0.5,
    pace_seconds=1.5,
    rows=20,
    year_tenants=1,
    year_days=2,
    probes=20,
    interval="1s",
    requests_per_second=0,
    apart=False,
)
