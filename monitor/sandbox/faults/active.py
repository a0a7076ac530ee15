"""Active faults: how long each lasts, and which of the requests or mails that match it are hit."""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field


class FaultTerms(BaseModel):
    """What all faults have in common: when they end by themselves, and what share they hit."""

    model_config = ConfigDict(extra="forbid")

    times: Annotated[int, Field(ge=1)] | None = None
    """How many it hits before it ends; if None, all until it is cleared."""
    lasts: Annotated[float, Field(gt=0, le=86_400)] | None = None
    """Seconds until it ends by itself."""
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """The share of matches that it hits, chosen at random; the same `seed` chooses the same ones."""
    seed: int = 0

    @property
    def only_for(self) -> str | None:
        """The account or recipient that it is limited to; None if it is for all."""
        raise NotImplementedError

    def spares_after(self, hits: int) -> bool:
        """Whether it leaves an account or recipient alone after that many hits."""
        return False


FaultT = TypeVar("FaultT", bound=FaultTerms)


@dataclass(eq=False, slots=True)
class ActiveFault(Generic[FaultT]):
    """A fault that is active: the preset it belongs to, when it ends, and what it has hit so far."""

    number: int
    fault: FaultT
    preset: str | None
    ends_at: float
    random: Random
    hits: int = 0
    hits_by_name: Counter[str] = field(default_factory=Counter)

    def strikes(self, name: str) -> bool:
        """Whether it hits a match from this account or for this recipient; if so, the hit is counted."""
        if self.fault.spares_after(self.hits_by_name[name]) or self.random.random() >= self.fault.share:
            return False
        self.hits += 1
        self.hits_by_name[name] += 1
        return True

    def shown(self, now: float) -> dict[str, Any]:
        """As the control API shows it; `times` is how many are left, `ends_in` is in seconds."""
        left = None if self.fault.times is None else self.fault.times - self.hits
        ends_in = None if self.ends_at == math.inf else round(max(self.ends_at - now, 0.0), 1)
        return {
            "number": self.number,
            **self.fault.model_dump(mode="json"),
            "times": left,
            "weather": self.preset,
            "hits": self.hits,
            "ends_in": ends_in,
        }


class ActiveFaults(Generic[FaultT]):
    """The active faults. The first match hits; faults for one account or recipient come before those for all.

    `clock` gives epoch seconds, `numbers` the number of each new fault.
    """

    def __init__(self, clock: Callable[[], float], numbers: Iterator[int]) -> None:
        self._clock = clock
        self._numbers = numbers
        self._faults: list[ActiveFault[FaultT]] = []

    def add(self, fault: FaultT, preset: str | None = None) -> None:
        ends_at = self._clock() + (math.inf if fault.lasts is None else fault.lasts)
        random = Random(fault.seed)  # noqa: S311  # a rehearsal must be repeatable
        self._faults.append(ActiveFault(next(self._numbers), fault, preset, ends_at, random))
        # A stable sort: among equals the one added first still hits first.
        self._faults.sort(key=lambda each: each.fault.only_for is None)

    def add_preset(self, fault: FaultT, preset: str) -> None:
        """Activate a preset's fault in place of the preset before for the same account, recipient or all."""
        self._end(lambda each: each.preset is not None and each.fault.only_for == fault.only_for)
        self.add(fault, preset)

    def clear(self, only_for: str | None = None) -> None:
        """End the faults for one account or recipient, or all faults."""
        self._end(lambda each: only_for in (None, each.fault.only_for))

    def clear_one(self, number: int) -> None:
        self._end(lambda each: each.number == number)

    def clear_presets(self, only_for: str | None = None) -> None:
        """As `clear`, but faults that belong to no preset stay."""
        self._end(lambda each: each.preset is not None and only_for in (None, each.fault.only_for))

    def active(self) -> list[ActiveFault[FaultT]]:
        now = self._clock()
        self._end(lambda each: now >= each.ends_at or each.hits == each.fault.times)
        return list(self._faults)

    def shown(self) -> list[dict[str, Any]]:
        now = self._clock()
        return [each.shown(now) for each in self.active()]

    def draw(self, matches: Callable[[FaultT], bool], name: str) -> FaultT | None:
        """The fault that hits this request or mail, which is from the account or for the recipient `name`."""
        # A match that its share spares is left to the next fault, and does not use up `times`.
        return next((each.fault for each in self.active() if matches(each.fault) and each.strikes(name)), None)

    def _end(self, ends: Callable[[ActiveFault[FaultT]], bool]) -> None:
        self._faults = [each for each in self._faults if not ends(each)]
