"""Fleets that Hypothesis draws, settled in a database by the service's own functions."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from hypothesis import strategies as st

from checks.credential import CredentialState
from checks.report import CheckReport
from monitor.config.settings import NoticesMode
from monitor.errors import FailureScope
from monitor.notices import operator_actions
from monitor.notices.compose.composer import Composer
from monitor.notices.content.render import Renderer
from monitor.notices.delivery.outbox import Outbox
from monitor.notices.delivery.sender import MailSender
from monitor.store.database import Database
from monitor.store.tables import CREDENTIAL
from monitor.tenants.file import Declined, Paused, TenantConfig, TenantProblem
from tests.bursts import group_all
from tests.installation import START
from tests.notices import a_policy
from tests.outbox import SENDER, DeliveryCounts, FakeTransport
from tests.reports import HOUR, MINUTE, failed, served
from tests.store import a_tenant, check, rows, sync

DAY = timedelta(days=1)
PERMISSIONS = ("jobs", "offers", "users")
LIVES = (
    "healthy", "new", "loses", "dies", "unsure", "paused", "declines", "removed", "returns", "broken", "restored",
    "suspected", "lacks", "revived",
)  # fmt: skip
OLD, RECENT = START - 3 * DAY, START - 5 * HOUR


@dataclass(frozen=True, slots=True)
class DrawnTenant:
    """What happened to it, when it turned, and which permissions that is about."""

    life: str
    turned_at: datetime
    about: frozenset[str]

    def verdicts(self, letter: str = "m") -> dict[str, str]:
        return {name: letter if name in self.about else "g" for name in PERMISSIONS}


@dataclass(frozen=True, slots=True)
class DrawnFleet:
    """`wave` more tenants lose the same at once. Emails fail or leave, and some of those held are dropped."""

    tenants: Mapping[str, DrawnTenant]
    wave: int
    mail_fails: bool
    dropped: int


def fleets() -> st.SearchStrategy[DrawnFleet]:
    tenant = st.builds(
        DrawnTenant,
        life=st.sampled_from(LIVES),
        turned_at=st.sampled_from((OLD, RECENT)),
        about=st.frozensets(st.sampled_from(PERMISSIONS), min_size=1),
    )
    tenants = st.lists(tenant, min_size=6, max_size=16).map(
        lambda drawn: {f"t{number:02}": one for number, one in enumerate(drawn)}
    )
    return st.builds(DrawnFleet, tenants, st.integers(0, 12), st.booleans(), st.integers(0, 3))


async def settle(db: Database, fleet: DrawnFleet) -> None:
    """As it stands at START."""
    waves = {
        f"w{number:02}": DrawnTenant("loses", RECENT + HOUR, frozenset({"offers"})) for number in range(fleet.wave)
    }
    everybody = {**fleet.tenants, **waves}
    await sync(db, *(_row(id_, one, first=True) for id_, one in everybody.items()), now=START - 10 * DAY)
    numbers = {row["tenant_id"]: row["id"] for row in await rows(db, CREDENTIAL)}
    steps: list[tuple[datetime, Any]] = [
        (at, partial(check, db, report, at, credential_id=numbers[id_])) for at, id_, report in _checks(everybody)
    ]
    steps.append((OLD + DAY, partial(_sync, db, everybody, OLD + DAY, first=True)))
    steps.append((RECENT + 2 * HOUR, partial(_sync, db, everybody, RECENT + 2 * HOUR, first=False)))
    for _, step in sorted(steps, key=lambda one: one[0]):
        await step()
    await group_all(db, batch=7)
    await _send(db, fleet)


def _row(id_: str, one: DrawnTenant, *, first: bool) -> TenantConfig:
    declined = [Declined(name, "ticket 1", None, None) for name in sorted(one.about)]
    row = a_tenant(
        id_,
        declined=declined if one.life == "declines" and not first else [],
        paused=Paused("ticket 2", None, None) if one.life == "paused" and not first else None,
    )
    return replace(row, csm_email=f"dana+{id_}@vendor.example")


def _checks(everybody: Mapping[str, DrawnTenant]) -> Iterator[tuple[datetime, str, CheckReport]]:
    """Each is well at first; what it turned to is seen twice, unless it is only suspected."""
    well = served(dict.fromkeys(PERMISSIONS, "g"))
    for number, (id_, one) in enumerate(everybody.items()):
        begun, turned = START - 9 * DAY + number * MINUTE, one.turned_at + number * MINUTE
        if one.life in ("removed", "returns"):  # before it leaves
            turned = OLD + number * MINUTE
        if one.life in ("new", "broken"):
            continue
        first = served(one.verdicts()) if one.life == "lacks" else well
        yield from ((begun, id_, first), (begun + HOUR, id_, first))
        lost = [(turned, id_, served(one.verdicts())), (turned + MINUTE, id_, served(one.verdicts()))]
        dead = failed(CredentialState.INVALID, "revoked")
        match one.life:
            case "loses" | "paused" | "removed" | "returns" | "declines":
                yield from lost
                if one.life == "returns":
                    yield RECENT + 3 * HOUR, id_, served(one.verdicts())
            case "restored":
                yield from (*lost, (turned + HOUR, id_, well))
            case "dies" | "revived":
                yield from ((turned, id_, dead), (turned + MINUTE, id_, dead))
                if one.life == "revived":
                    yield RECENT + 3 * HOUR, id_, well
            case "unsure":
                yield turned, id_, served(one.verdicts("u"))
            case "suspected":
                yield lost[0]


async def _sync(db: Database, everybody: Mapping[str, DrawnTenant], at: datetime, *, first: bool) -> None:
    """Two tenants leave the file at first; at last one of them is back, and others are paused, declined or wrong."""
    gone = ("removed", "returns") if first else ("removed",)
    stays = {id_: one for id_, one in everybody.items() if one.life not in gone}
    wrong = [TenantProblem(id_, 1, "wrong") for id_, one in stays.items() if one.life == "broken" and not first]
    spoilt = {problem.tenant_id for problem in wrong}
    right = [_row(id_, one, first=first) for id_, one in stays.items() if id_ not in spoilt]
    await sync(db, *right, problems=wrong, now=at)


async def _send(db: Database, fleet: DrawnFleet) -> None:
    transport = FakeTransport()
    if fleet.mail_fails:
        transport.refuses("550 no such reader", FailureScope.ADDRESS, permanent=True)
    at = START - HOUR
    await Composer(db, a_policy(NoticesMode.CSM), Renderer()).run_once(at)
    outbox = Outbox(db, MailSender(transport, SENDER, DeliveryCounts(), jitter=lambda: 0, now=lambda: at), lambda: at)
    await outbox.deliver()
    await outbox.settled()
    listed = await operator_actions.listing(db)
    held = [notice.id for notice in listed if notice.status == "held"]
    await operator_actions.drop(db, START - MINUTE, "lee", "a false alarm", held[: fleet.dropped])
