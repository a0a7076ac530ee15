"""How much is measured: full size, or a small one that shows in seconds that everything works."""

from dataclasses import dataclass

from tests.bench.made_year import MadeYear


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
    years: tuple[MadeYear, ...]
    alone_seconds: float
    read_seconds: float
    interval: str = "4h"
    requests_per_second: float = 2
    apart: bool = True

    @property
    def postgres_year(self) -> MadeYear:
        """The one that is a vendor of full size."""
        return self.years[len(self.years) // 2]


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
    # The last one with as many events as the one before: ten times as many would need 40 GB.
    years=(MadeYear(1_000, 300_000), MadeYear(10_000, 3_000_000), MadeYear(100_000, 3_000_000, days=36)),
    alone_seconds=60,
    read_seconds=240,
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
    years=(MadeYear(60, 1_200, days=35),),
    alone_seconds=0.5,
    read_seconds=3,
    interval="1s",
    requests_per_second=0,
    apart=False,
)
