"""Faults in force: how long each lasts, and which of those that it fits it hits."""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field


class FaultTerms(BaseModel):
    """What all faults have in common: when they end by themselves, and how many they spare."""

    model_config = ConfigDict(extra="forbid")

    times: Annotated[int, Field(ge=1)] | None = None
    """How many it hits before it ends; without it, all until it is cleared."""
    lasts: Annotated[float, Field(gt=0, le=86_400)] | None = None
    """Seconds until it ends by itself."""
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """The part of those it fits that it hits, drawn by lot; the same `seed` draws the same lots."""
    seed: int = 0

    @property
    def whom(self) -> str | None:
        """Whom it is for; None if it is for all."""
        raise NotImplementedError

    def has_enough_of(self, hits: int) -> bool:
        """It spares whoever it hit so often."""
        return False


SpellT = TypeVar("SpellT", bound=FaultTerms)


@dataclass(eq=False, slots=True)
class ActiveFault(Generic[SpellT]):
    """A fault that holds: the weather it came with, when it ends, and whom it hit so far."""

    number: int
    fault: SpellT
    weather: str | None
    ends_at: float
    lots: Random
    hits: int = 0
    hits_of: Counter[str] = field(default_factory=Counter)

    def meets(self, whom: str) -> bool:
        """Whether it hits one that it fits; that is then counted."""
        if self.fault.has_enough_of(self.hits_of[whom]) or self.lots.random() >= self.fault.share:
            return False
        self.hits += 1
        self.hits_of[whom] += 1
        return True

    def shown(self, now: float) -> dict[str, Any]:
        """As the control shows it; `times` are those that are left, `ends_in` is in seconds."""
        shown = self.fault.model_dump(mode="json")
        left = None if self.fault.times is None else self.fault.times - self.hits
        ends_in = None if self.ends_at == math.inf else round(max(self.ends_at - now, 0.0), 1)
        return (
            {"number": self.number}
            | shown
            | {"times": left, "weather": self.weather, "hits": self.hits, "ends_in": ends_in}
        )


class ActiveFaults(Generic[SpellT]):
    """The faults in force; the first that fits is the one that hits, those for one before those for all.

    `clock` gives epoch seconds, `numbers` the number of each new fault.
    """

    def __init__(self, clock: Callable[[], float], numbers: Iterator[int]) -> None:
        self._clock = clock
        self._numbers = numbers
        self._standing: list[ActiveFault[SpellT]] = []

    def add(self, fault: SpellT, weather: str | None = None) -> None:
        ends_at = self._clock() + (math.inf if fault.lasts is None else fault.lasts)
        lots = Random(fault.seed)  # noqa: S311  # lots of a rehearsal, to be drawn again the same way
        self._standing.append(ActiveFault(next(self._numbers), fault, weather, ends_at, lots))
        self._standing.sort(key=lambda each: each.fault.whom is None)

    def turn(self, fault: SpellT, weather: str) -> None:
        """Put in force what a weather brings, in place of the weather before for the same."""
        self._end(lambda each: each.weather is not None and each.fault.whom == fault.whom)
        self.add(fault, weather)

    def clear(self, whom: str | None = None) -> None:
        """End the faults for one, or all there are."""
        self._end(lambda each: whom in (None, each.fault.whom))

    def clear_one(self, number: int) -> None:
        self._end(lambda each: each.number == number)

    def clear_weather(self, whom: str | None = None) -> None:
        """End the weather for one, or all there is; faults that came with none stay."""
        self._end(lambda each: each.weather is not None and whom in (None, each.fault.whom))

    def in_force(self) -> list[ActiveFault[SpellT]]:
        now = self._clock()
        self._end(lambda each: now >= each.ends_at or each.hits == each.fault.times)
        return list(self._standing)

    def shown(self) -> list[dict[str, Any]]:
        now = self._clock()
        return [each.shown(now) for each in self.in_force()]

    def _end(self, ends: Callable[[ActiveFault[SpellT]], bool]) -> None:
        self._standing = [each for each in self._standing if not ends(each)]

    def draw(self, fits: Callable[[SpellT], bool], whom: str) -> SpellT | None:
        """The fault that hits what these fit, and that comes from or goes to `whom`."""
        return next((each.fault for each in self.in_force() if fits(each.fault) and each.meets(whom)), None)
