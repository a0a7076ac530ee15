"""The breaker trips on trouble of many tenants and on nothing else, pauses longer each time, and always recovers."""

import math
from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from checks.answer import Answer, AnswerKind
from monitor.breaker.circuit_breaker import SLOW_CONCURRENCY_DIVISOR, SLOW_REQUESTS_PER_SECOND
from monitor.breaker.machine import JITTER, BreakerReason, Limits, Machine, State, TrackedCheck
from monitor.breaker.recent_tenants import LATEST, MANY
from monitor.breaker.signs import Sign, sign_of
from tests.paths import ROOT

LIMITS = Limits.of(60)
SERVED, LIMITED, BLOCKED, UNREACHABLE = Sign.SERVED, Sign.RATE_LIMITED, Sign.BLOCKED, Sign.UNREACHABLE
TROUBLES = [LIMITED, BLOCKED, UNREACHABLE]


@dataclass
class MachineRig:
    """A breaker and its clock. Each check is one request long; a failure is retried, as the client does."""

    limits: Limits = LIMITS
    jitter: float = 0.0
    now: float = 0.0
    machine: Machine = field(init=False)

    def __post_init__(self) -> None:
        self.machine = Machine(self.limits, lambda: self.jitter)

    @property
    def state(self) -> State:
        self.machine.advance(self.now)
        return self.machine.state

    @property
    def pauses(self) -> list[float]:
        return [transition.pause_seconds for transition in self.machine.transitions if transition.after is State.PAUSED]

    def check(self, tenant: str, sign: Sign | None) -> bool:
        """Check one tenant; true if its request was sent."""
        check = self.machine.begin(tenant, self.now)
        sent = self.machine.may_send(check, self.now)
        if sent:
            self.machine.record(check, sign, self.now)
        if sign is UNREACHABLE and self.machine.may_send(check, self.now):
            self.machine.record(check, sign, self.now)
        self.machine.end(check, self.now)
        return sent

    def checks(self, number: int, sign: Sign, *, every: float = 1.0, first: int = 0) -> None:
        for n in range(first, first + number):
            self.check(f"t{n}", sign)
            self.now += every

    def paused(self) -> "MachineRig":
        """Every tenant has been in trouble for long enough."""
        self.checks(LATEST, BLOCKED)
        assert self.state is State.PAUSED
        return self

    def probing(self) -> "MachineRig":
        self.now += self.pauses[-1]
        assert self.state is State.PROBING
        return self


@pytest.mark.parametrize("trouble", TROUBLES)
def test_it_slows_pauses_probes_resumes_and_closes(trouble: Sign) -> None:
    """The whole cycle, for every kind of trouble; each transition has its reason."""
    rig = MachineRig()
    rig.checks(MANY, trouble)
    assert rig.state is State.SLOW
    rig.now += LIMITS.slow_before_pause
    assert rig.state is State.PAUSED
    rig.probing().check("t7", SERVED)
    rig.checks(int(LIMITS.slow_after_pause), SERVED)
    assert rig.machine.state is State.SLOW
    rig.check("t7", SERVED)
    assert rig.state is State.CLOSED
    assert [transition.reason for transition in rig.machine.transitions] == [
        trouble.value, trouble.value, BreakerReason.WAITED, BreakerReason.SERVED, BreakerReason.CALM
    ]  # fmt: skip


def test_a_transition_carries_what_led_to_it() -> None:
    """How many of how many tenants met which trouble, and since when."""
    rig = MachineRig()
    rig.checks(7, SERVED)
    rig.checks(4, BLOCKED, first=10)
    rig.checks(3, LIMITED, first=20)
    transition = rig.machine.transitions[0]
    trouble = transition.trouble
    assert (trouble.tenants, trouble.by_sign, trouble.since) == (14, {BLOCKED: 4, LIMITED: 3}, 7.0)
    assert transition.reason == "blocked"


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(1, MANY - 1), st.sampled_from(Sign), st.floats(0, 1000))))
def test_fewer_than_many_tenants_never_trip_it(steps: list[tuple[int, Sign, float]]) -> None:
    """Whatever four tenants meet, and for however long."""
    rig = MachineRig()
    for tenant, sign, seconds in steps:
        assert rig.check(f"t{tenant}", sign)
        rig.now += seconds
    assert rig.machine.transitions == []


@settings(max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 40), st.booleans(), st.floats(0, 5)), max_size=200))
def test_one_tenants_trouble_never_trips_it(steps: list[tuple[int, bool, float]]) -> None:
    """One tenant is rate-limited again and again while others are served: its own problem."""
    rig = MachineRig()
    for tenant, in_trouble, seconds in steps:
        assert rig.check("acme" if in_trouble else f"t{tenant}", LIMITED if in_trouble else SERVED)
        rig.now += seconds
    assert rig.state is State.CLOSED


def test_less_than_half_of_many_never_trip_it() -> None:
    """Of twenty tenants, nine are blocked permanently and eleven are served."""
    rig = MachineRig()
    for _ in range(30):
        rig.checks(11, SERVED)
        rig.checks(9, BLOCKED, first=11)
    assert rig.machine.transitions == []


def test_the_threshold_grows_with_the_number_of_tenants_up_to_a_bound() -> None:
    """Five of six tenants; of thousands, half of the most recent twenty."""
    small, large = MachineRig(), MachineRig()
    small.checks(1, SERVED)
    small.checks(4, UNREACHABLE, first=1)
    assert small.state is State.CLOSED
    small.checks(1, UNREACHABLE, first=5)
    assert small.state is State.SLOW

    large.checks(10_000, SERVED, every=0.01)
    large.checks(9, UNREACHABLE, every=0.01)
    assert large.state is State.CLOSED
    large.checks(1, UNREACHABLE, first=9)
    assert large.state is State.SLOW


def test_old_trouble_does_not_count() -> None:
    """Four tenants in trouble, and a fifth a quarter of an hour later."""
    rig = MachineRig()
    rig.checks(4, UNREACHABLE)
    rig.now += LIMITS.forget_after
    rig.checks(4, UNREACHABLE, first=4)
    assert rig.state is State.CLOSED


def test_while_some_are_served_it_does_not_pause() -> None:
    """Most are in trouble, but every third answer is good: it slows down and no more."""
    rig = MachineRig()
    for n in range(300):
        rig.check(f"t{n % 12}", SERVED if n % 3 == 0 else LIMITED)
        rig.now += 1
    assert {transition.after for transition in rig.machine.transitions} == {State.SLOW}


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("at_once", [5, 12, 50, 300])
def test_trouble_of_all_is_noticed_however_many_are_checked_at_once(trouble: Sign, at_once: int) -> None:
    """Each check meets it in turn, then each a second time: two rounds are enough."""
    rig = MachineRig()
    under_way = [rig.machine.begin(f"t{n}", rig.now) for n in range(at_once)]
    for check in under_way * 2:
        rig.machine.record(check, trouble, rig.now)
        rig.now += 1 / at_once
    assert rig.state is State.SLOW
    assert rig.machine.transitions[0].trouble.since <= 1


def test_scattered_failures_are_no_outage() -> None:
    """A third of all requests fail by chance, for all tenants: most retries work."""
    rig, chance = MachineRig(), Random(1)
    open_checks = [rig.machine.begin(f"t{n}", rig.now) for n in range(50)]
    for _ in range(200):
        for check in open_checks:
            rig.machine.record(check, UNREACHABLE if chance.random() < 1 / 3 else SERVED, rig.now)
        rig.now += 0.5
    assert rig.machine.transitions == []


@pytest.mark.parametrize("trouble", [LIMITED, BLOCKED])
def test_a_rate_limit_and_a_block_count_at_once(trouble: Sign) -> None:
    """One such answer for each tenant is enough."""
    rig = MachineRig()
    for n in range(MANY):
        rig.machine.record(rig.machine.begin(f"t{n}", 0), trouble, 0)
    assert rig.state is State.SLOW


def test_a_moments_trouble_causes_no_pause() -> None:
    """Nobody can be reached for a second: it is slow for a while, and does not pause."""
    rig = MachineRig()
    rig.checks(50, UNREACHABLE, every=0)
    assert rig.state is State.SLOW
    rig.now += 0.5
    for _ in range(int(LIMITS.calm_for) + 1):
        rig.checks(50, SERVED, every=0)
        rig.now += 1
    assert [transition.after for transition in rig.machine.transitions] == [State.SLOW, State.CLOSED]


def test_tenants_that_stay_in_trouble_while_others_are_served_stop_counting() -> None:
    """Eight of ten are blocked permanently: they slow it down once, then their checks go on."""
    rig = MachineRig()
    for _ in range(int(LIMITS.calm_for) + 1):
        if rig.now < 1:
            rig.checks(8, BLOCKED, every=0)
        rig.checks(2, SERVED, every=0, first=8)
        rig.now += 1
    assert rig.state is State.CLOSED
    for _ in range(100):
        assert all(rig.check(f"t{n}", BLOCKED) for n in range(8))
        rig.now += 10
    assert rig.state is State.CLOSED


def test_tenants_in_trouble_before_a_pause_are_checked_after_it() -> None:
    """Another was served meanwhile, so those that still are not have their own problem, and cause no second pause."""
    rig = MachineRig().paused().probing()
    rig.check("t50", SERVED)
    for _ in range(3):
        assert all(rig.check(f"t{n}", BLOCKED) for n in range(10))
        rig.now += LIMITS.slow_before_pause
    assert (rig.state, len(rig.pauses)) == (State.SLOW, 1)


def test_tenants_that_were_served_again_count_again() -> None:
    """After an outage the same tenants trip it a second time."""
    rig = MachineRig().paused().probing()
    rig.check("t0", SERVED)
    rig.checks(int(LIMITS.slow_after_pause), SERVED)
    assert rig.state is State.CLOSED
    rig.checks(LATEST, BLOCKED)
    assert rig.state is State.PAUSED


def test_pauses_double_up_to_a_bound_and_start_over_once_all_was_well() -> None:
    """A minute, two, four, eight, fifteen, fifteen; and a minute again in the next outage."""
    rig = MachineRig().paused()
    for _ in range(5):
        rig.probing().check("t1", UNREACHABLE)
    assert rig.pauses == [60, 120, 240, 480, 900, 900]
    rig.probing().check("t1", SERVED)
    rig.checks(int(LIMITS.slow_after_pause), SERVED)
    rig.paused()
    assert rig.pauses[-1] == 60


def test_a_relapse_pauses_longer() -> None:
    """The check sent ahead was served by luck; others are in trouble, so it pauses for twice as long."""
    rig = MachineRig().paused().probing()
    rig.check("t50", SERVED)
    rig.checks(20, UNREACHABLE, first=100)
    assert rig.pauses == [60, 120]


def test_a_check_under_way_ends_with_the_pause_even_if_it_sleeps_through_it() -> None:
    """It sends nothing during the pause, nor while another goes ahead, nor when all is well again."""
    rig = MachineRig()
    sleeper = rig.machine.begin("sleeper", rig.now)
    rig.paused()
    states = []
    for step in (lambda: None, rig.probing, lambda: rig.check("t1", SERVED)):
        step()
        assert not rig.machine.may_send(sleeper, rig.now)
        states.append(rig.state)
    assert states == [State.PAUSED, State.PROBING, State.SLOW]


def test_a_late_answer_ends_no_pause() -> None:
    """The answer to a check that began before the pause does not count."""
    rig = MachineRig()
    late = rig.machine.begin("late", rig.now)
    rig.paused().probing()
    rig.machine.record(late, SERVED, rig.now)
    assert rig.state is State.PROBING


def test_one_check_goes_ahead_and_makes_way_if_it_got_no_answer() -> None:
    """A second one waits; if the first could not send anything (no key), the next takes its place."""
    rig = MachineRig().paused().probing()
    first, second = rig.machine.begin("a", rig.now), rig.machine.begin("b", rig.now)
    assert (rig.machine.may_send(first, rig.now), rig.machine.may_send(second, rig.now)) == (True, False)
    rig.machine.end(first, rig.now)
    assert rig.state is State.PROBING
    assert rig.check("c", SERVED)
    assert rig.state is State.SLOW


def test_answers_that_say_nothing_do_not_end_a_pause() -> None:
    """The check sent ahead gets redirects and HTML pages: after it, there is another pause."""
    rig = MachineRig().paused().probing()
    rig.check("a", None)
    assert (rig.state, rig.machine.transitions[-1].reason) == (State.PAUSED, BreakerReason.NOT_SERVED)


def test_silence_closes_it() -> None:
    """Slow, and then nothing is due for long: old trouble is forgotten."""
    rig = MachineRig()
    rig.checks(4, LIMITED)
    rig.check("t8", SERVED)
    rig.check("t9", LIMITED)
    assert rig.state is State.SLOW
    rig.now += LIMITS.forget_after
    assert (rig.state, rig.machine.transitions[-1].reason) == (State.CLOSED, BreakerReason.SILENCE)
    rig.checks(MANY, LIMITED)
    assert rig.state is State.SLOW


def test_for_a_command_a_pause_never_ends() -> None:
    """A command checks once and does not wait."""
    rig = MachineRig(LIMITS.for_good()).paused()
    rig.now += 1e9
    assert rig.state is State.PAUSED


def test_its_times_follow_the_confirming_check() -> None:
    """They shrink with `CONFIRM_AFTER` below a minute, as in a rehearsal, and never grow beyond it."""
    assert Limits.of(60) == Limits.of(3600)
    assert (Limits.of(1).first_pause, Limits.of(0).longest_pause) == (1, 15)


class AnyOrder(RuleBasedStateMachine):
    """Checks begin, get answers and end in any order, whatever they meet."""

    def __init__(self) -> None:
        super().__init__()
        self.now, self.rig = 0.0, MachineRig(jitter=0.7)
        self.machine = self.rig.machine
        self.open: list[TrackedCheck] = []
        self.sent_ahead: list[TrackedCheck] = []

    @rule(seconds=st.sampled_from([0.0, 0.5, 11.0, 31.0, 121.0, 1100.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.machine.advance(self.now)
        if self.machine.state is not State.PROBING:
            self.sent_ahead.clear()

    @rule(tenant=st.integers(0, 30))
    def begins(self, tenant: int) -> None:
        self.open.append(self.machine.begin(f"t{tenant}", self.now))

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0), sign=st.sampled_from([*Sign, *TROUBLES, None]))
    def asks(self, which: int, sign: Sign | None) -> None:
        check = self.open[which % len(self.open)]
        if not self.machine.may_send(check, self.now):
            assert self.machine.state is not State.CLOSED or check.period < len(self.rig.pauses)
            return
        assert self.machine.state is not State.PAUSED
        if self.machine.state is State.PROBING:
            self.sent_ahead.append(check)
        self.machine.record(check, sign, self.now)

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0))
    def ends(self, which: int) -> None:
        check = self.open.pop(which % len(self.open))
        self.machine.end(check, self.now)
        self.sent_ahead = [one for one in self.sent_ahead if one is not check]

    @rule(signs=st.lists(st.sampled_from(TROUBLES), min_size=MANY, max_size=MANY))
    def many_in_trouble(self, signs: list[Sign]) -> None:
        for tenant, sign in enumerate(signs):
            self.begins(100 + tenant)
            self.asks(len(self.open) - 1, sign)
            self.ends(len(self.open) - 1)

    @invariant()
    def one_goes_ahead_at_most(self) -> None:
        assert self.machine.state is not State.PROBING or len({id(one) for one in self.sent_ahead}) <= 1

    @invariant()
    def pauses_are_bounded(self) -> None:
        for seconds in self.rig.pauses:
            assert LIMITS.first_pause <= seconds <= LIMITS.longest_pause * (1 + JITTER)

    @invariant()
    def transitions_follow_the_rules(self) -> None:
        allowed = {
            State.CLOSED: {State.SLOW},
            State.SLOW: {State.PAUSED, State.CLOSED},
            State.PAUSED: {State.PROBING},
            State.PROBING: {State.PAUSED, State.SLOW},
        }
        before = State.CLOSED
        for transition in self.machine.transitions:
            assert transition.before is before
            assert transition.after in allowed[before]
            before = transition.after

    def teardown(self) -> None:
        """Whatever happened: once everybody is served, it closes within a pause and a slow phase."""
        for check in self.open:
            self.machine.end(check, self.now)
        end = self.now + LIMITS.longest_pause * (1 + JITTER) + LIMITS.slow_after_pause + LIMITS.calm_for + 20
        tenant = 0
        while self.now < end:
            tenant += 1
            check = self.machine.begin(f"new{tenant}", self.now)
            if self.machine.may_send(check, self.now):
                self.machine.record(check, SERVED, self.now)
            self.machine.end(check, self.now)
            self.now += 5
        assert self.machine.state is State.CLOSED


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@pytest.mark.parametrize(
    ("answer", "served", "sign"),
    [
        (Answer(AnswerKind.JSON, 200), False, SERVED),
        (Answer(AnswerKind.PERMISSION, 403), False, SERVED),
        (Answer(AnswerKind.INVALID_KEY, 401), False, SERVED),  # Greenhouse works; the key does not
        (Answer(AnswerKind.NOT_FOUND, 404), False, SERVED),
        (Answer(AnswerKind.RATE_LIMITED, 429), True, LIMITED),
        (Answer(AnswerKind.UNKNOWN_REFUSAL, 403, html=True), True, BLOCKED),
        (Answer(AnswerKind.UNKNOWN_REFUSAL, 403), False, BLOCKED),
        (Answer(AnswerKind.UNKNOWN_REFUSAL, 403), True, None),  # one endpoint, in new words
        (Answer(AnswerKind.TIMEOUT), True, UNREACHABLE),
        (Answer(AnswerKind.NO_CONNECTION), True, UNREACHABLE),
        (Answer(AnswerKind.SERVER_ERROR, 503), True, UNREACHABLE),
        (Answer(AnswerKind.REDIRECT, 302), False, None),
        (Answer(AnswerKind.NOT_JSON, 200, html=True), False, None),
        (Answer(AnswerKind.GONE, 410), False, None),  # a retired API has a state of its own
    ],
)
def test_what_an_answer_says_of_greenhouse(answer: Answer, served: bool, sign: Sign | None) -> None:
    """Rate limits, blocks and failures may be trouble of many; whatever shows Greenhouse at work counts as served."""
    assert sign_of(answer, served) is sign


def test_the_docs_have_the_numbers_of_the_code() -> None:
    """docs/breaker.md states every threshold and time, every state and every reason."""
    page = " ".join((ROOT / "docs" / "breaker.md").read_text("utf-8").split())
    assert f"of the {LATEST} tenants checked most recently, at least {MANY} and at least half" in page
    assert f"the last {MANY} tenants were all in trouble, and at least {LIMITS.slow_before_pause:.0f} seconds" in page
    assert f"{SLOW_REQUESTS_PER_SECOND:.0f} requests a second in total" in page
    assert (SLOW_CONCURRENCY_DIVISOR, "a quarter of the checks" in page) == (4, True)
    minutes = (LIMITS.calm_for, LIMITS.slow_after_pause, LIMITS.first_pause, LIMITS.longest_pause, LIMITS.forget_after)
    assert [seconds / 60 for seconds in minutes] == [0.5, 2, 1, 15, 15]
    for words in ("half a minute", "two minutes after a pause", "one minute has passed", "up to fifteen:"):
        assert words in page
    assert all(f"`{name}`" in page for name in (*State, *BreakerReason))


def test_a_pause_has_a_bound_for_any_jitter() -> None:
    """The longest one grows by a fifth at most."""
    rig = MachineRig(jitter=1.0).paused()
    for _ in range(30):
        rig.probing().check("t1", BLOCKED)
    assert math.isclose(max(rig.pauses), LIMITS.longest_pause * 1.2)
