"""The sentence on top: what is worst is said, and nothing else."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from monitor.breaker.machine import State as BreakerState
from monitor.incidents.changes import ListedBurst
from monitor.incidents.status import TenantStatus
from monitor.reporting.headline import (
    Halt,
    LossesToday,
    OutboxFacts,
    ServiceFacts,
    SweepProgress,
    Tone,
    headline,
)
from tests.cases import for_each

NOW = datetime(2026, 6, 12, 14, 21, tzinfo=UTC)
HOUR = timedelta(hours=1)
WELL = ServiceFacts(
    now=NOW,
    interval=4 * HOUR,
    tenants={TenantStatus.HEALTHY: 9_812, TenantStatus.DRIFTED: 28},
    sweep=SweepProgress(NOW - HOUR, 900, 9_840, NOW - HOUR / 2),
    last_checked_at=NOW,
)
HELD = replace(WELL, outbox=OutboxFacts(held=41))
BURST = ListedBurst(
    id=7,
    kind="lost",
    permission_id="offers.list",
    permission_group="Offers",
    permission_label="GET: List offers",
    state=None,
    first_at=NOW - HOUR / 3,
    last_at=NOW - HOUR / 6,
    seen_from=NOW - 4 * HOUR,
    first_seen=NOW - HOUR / 3,
    seen_to=NOW - HOUR / 6,
    events=41,
    tenants=41,
    examples=("acme",),
)
CASES = {
    "all well": (WELL, "H10", Tone.CALM, "All well. 9,812 of 9,840 tenants are healthy."),
    "a write halt comes first": (
        replace(HELD, halt=Halt(NOW, 200, "Vantor Health")),
        "H1",
        Tone.BAD,
        "Stopped: a write probe was answered 200 for Vantor Health at 2026-06-12 14:21Z.",
    ),
    "a held burst is named": (
        replace(HELD, held=BURST, held_bursts=1),
        "H2",
        Tone.BAD,
        "Held: 41 tenants lost GET: List offers, seen between 2026-06-12 14:01Z and 2026-06-12 14:11Z. "
        "No CSM was emailed.",
    ),
    "held emails of no burst": (HELD, "H2", Tone.BAD, "Held: 41 emails."),
    "the breaker is open": (
        replace(WELL, breaker=BreakerState.PAUSED, overdue=312),
        "H3",
        Tone.BAD,
        "Greenhouse does not answer as it should. 312 checks wait",
    ),
    "checks stand still": (
        replace(WELL, overdue=5, last_checked_at=NOW - 6 * HOUR),
        "H4",
        Tone.BAD,
        "No tenant was checked since 2026-06-12 08:21Z.",
    ),
    "nothing is due, so nothing stands still": (
        replace(WELL, last_checked_at=NOW - 6 * HOUR),
        "H10",
        Tone.CALM,
        "All well.",
    ),
    "emails are stuck": (
        replace(WELL, outbox=OutboxFacts(pending=17, stuck_since=NOW - HOUR)),
        "H5",
        Tone.BAD,
        "17 emails cannot be delivered since 2026-06-12 13:21Z.",
    ),
    "an email that just waits is not stuck": (
        replace(WELL, outbox=OutboxFacts(pending=1, stuck_since=NOW - HOUR / 60)),
        "H10",
        Tone.CALM,
        "All well.",
    ),
    "emails failed": (replace(WELL, outbox=OutboxFacts(failed=1)), "H6", Tone.WARN, "1 email failed for good."),
    "all well may not stand over what is ours to mend": (
        replace(WELL, ours=3),
        "H7",
        Tone.WARN,
        "3 tenants cannot be checked, and that is ours to mend.",
    ),
    "no tenant yet": (replace(WELL, tenants={}), "H8", Tone.CALM, "No tenant yet."),
    "losses, all told": (
        replace(WELL, losses=LossesToday(3, 3)),
        "H9",
        Tone.CALM,
        "3 tenants lost access in the last 24 hours; their CSMs were emailed. The service is well.",
    ),
    "losses, some told": (
        replace(WELL, losses=LossesToday(3, 1)),
        "H9",
        Tone.CALM,
        "3 tenants lost access in the last 24 hours; the CSMs of 1 were emailed so far.",
    ),
}


@for_each(CASES)
def test_the_worst_is_said_first(name: str) -> None:
    """The table above: what is the case, by which rule, how loudly, and in which words."""
    facts, rule, tone, begins = CASES[name]
    said = headline(facts)
    assert (said.rule, said.tone) == (rule, tone)
    assert said.said.plain.startswith(begins)
    assert bool(said.next_step) == (tone is not Tone.CALM), "whatever is loud says what to do"
