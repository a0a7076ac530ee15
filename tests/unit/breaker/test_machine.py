"""The breaker: trips on what many tenants meet and on nothing else, waits longer each time, and always comes back."""

import math
from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from checks.answer import Answer, AnswerKind
from monitor.breaker.circuit_breaker import SLOW_PLACES_ONE_IN, SLOW_REQUESTS_PER_SECOND
from monitor.breaker.machine import LONGER_BY, BreakerReason, Limits, Machine, State, Ticket
from monitor.breaker.recent_tenants import LATEST, MANY
from monitor.breaker.signs import Sign, sign_of
from tests.paths import ROOT

LIMITS = Limits.of(60)
SERVED, LIMITED, BLOCKED, UNREACHABLE = Sign.SERVED, Sign.RATE_LIMITED, Sign.BLOCKED, Sign.UNREACHABLE
TROUBLES = [LIMITED, BLOCKED, UNREACHABLE]


@dataclass
class Bench:
    """A breaker and its time; each check is one request long, and a failure is tried again as it is by the client."""

    limits: Limits = LIMITS
    jitter: float = 0.0
    now: float = 0.0
    machine: Machine = field(init=False)

    def __post_init__(self) -> None:
        self.machine = Machine(self.limits, lambda: self.jitter)

    @property
    def state(self) -> State:
        self.machine.look(self.now)
        return self.machine.state

    @property
    def pauses(self) -> list[float]:
        return [turn.pause_seconds for turn in self.machine.transitions if turn.after is State.PAUSED]

    def check(self, tenant: str, sign: Sign | None) -> bool:
        """One tenant looked at; whether its request was let go."""
        ticket = self.machine.begin(tenant, self.now)
        sent = self.machine.may_send(ticket, self.now)
        if sent:
            self.machine.hear(ticket, sign, self.now)
        if sign is UNREACHABLE and self.machine.may_send(ticket, self.now):
            self.machine.hear(ticket, sign, self.now)
        self.machine.end(ticket, self.now)
        return sent

    def checks(self, number: int, sign: Sign, *, every: float = 1.0, first: int = 0) -> None:
        for n in range(first, first + number):
            self.check(f"t{n}", sign)
            self.now += every

    def paused(self) -> "Bench":
        """Everybody has been in trouble for long enough."""
        self.checks(LATEST, BLOCKED)
        assert self.state is State.PAUSED
        return self

    def probing(self) -> "Bench":
        self.now += self.pauses[-1]
        assert self.state is State.PROBING
        return self


@pytest.mark.parametrize("trouble", TROUBLES)
def test_it_slows_pauses_probes_resumes_and_closes(trouble: Sign) -> None:
    """The whole way, for every kind of trouble, each turn with its reason."""
    bench = Bench()
    bench.checks(MANY, trouble)
    assert bench.state is State.SLOW
    bench.now += LIMITS.slow_before_pause
    assert bench.state is State.PAUSED
    bench.probing().check("t7", SERVED)
    bench.checks(int(LIMITS.slow_after_pause), SERVED)
    assert bench.machine.state is State.SLOW
    bench.check("t7", SERVED)
    assert bench.state is State.CLOSED
    assert [turn.reason for turn in bench.machine.transitions] == [
        trouble.value, trouble.value, BreakerReason.WAITED, BreakerReason.SERVED, BreakerReason.CALM
    ]  # fmt: skip


def test_a_turn_tells_what_was_seen() -> None:
    """How many of how many tenants met what, and since when."""
    bench = Bench()
    bench.checks(7, SERVED)
    bench.checks(4, BLOCKED, first=10)
    bench.checks(3, LIMITED, first=20)
    turn = bench.machine.transitions[0]
    assert (turn.seen.heard, turn.seen.troubled, turn.seen.since) == (14, {BLOCKED: 4, LIMITED: 3}, 7.0)
    assert turn.reason == "blocked"


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(1, MANY - 1), st.sampled_from(Sign), st.floats(0, 1000))))
def test_fewer_than_many_tenants_never_trip_it(heard: list[tuple[int, Sign, float]]) -> None:
    """Four tenants may meet whatever they like, for as long as they like."""
    bench = Bench()
    for tenant, sign, seconds in heard:
        assert bench.check(f"t{tenant}", sign)
        bench.now += seconds
    assert bench.machine.transitions == []


@settings(max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 40), st.booleans(), st.floats(0, 5)), max_size=200))
def test_one_tenants_trouble_never_trips_it(heard: list[tuple[int, bool, float]]) -> None:
    """One tenant is rate-limited again and again while others are served: its own matter."""
    bench = Bench()
    for tenant, in_trouble, seconds in heard:
        assert bench.check("acme" if in_trouble else f"t{tenant}", LIMITED if in_trouble else SERVED)
        bench.now += seconds
    assert bench.state is State.CLOSED


def test_less_than_half_of_many_never_trip_it() -> None:
    """Of twenty tenants nine are blocked for good, and eleven are served."""
    bench = Bench()
    for _ in range(30):
        bench.checks(11, SERVED)
        bench.checks(9, BLOCKED, first=11)
    assert bench.machine.transitions == []


def test_it_takes_as_many_for_six_tenants_as_for_ten_thousand_at_least() -> None:
    """Five of six; of very many, half of those heard from last."""
    small, large = Bench(), Bench()
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


def test_what_was_heard_long_ago_does_not_count() -> None:
    """Four tenants in trouble, and a fifth a quarter of an hour later."""
    bench = Bench()
    bench.checks(4, UNREACHABLE)
    bench.now += LIMITS.forgets_after
    bench.checks(4, UNREACHABLE, first=4)
    assert bench.state is State.CLOSED


def test_while_somebody_is_served_it_does_not_pause() -> None:
    """Most are in trouble, and every third answer is a good one: slow, and no more."""
    bench = Bench()
    for n in range(300):
        bench.check(f"t{n % 12}", SERVED if n % 3 == 0 else LIMITED)
        bench.now += 1
    assert {turn.after for turn in bench.machine.transitions} == {State.SLOW}


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("at_once", [5, 12, 50, 300])
def test_trouble_of_all_is_seen_however_many_are_checked_at_once(trouble: Sign, at_once: int) -> None:
    """Each hears of it at its turn, and again when all the others have: two rounds are enough."""
    bench = Bench()
    under_way = [bench.machine.begin(f"t{n}", bench.now) for n in range(at_once)]
    for ticket in under_way * 2:
        bench.machine.hear(ticket, trouble, bench.now)
        bench.now += 1 / at_once
    assert bench.state is State.SLOW
    assert bench.machine.transitions[0].seen.since <= 1


def test_failures_here_and_there_are_no_outage() -> None:
    """A third of all requests fail by chance, and of all tenants at once: what is tried again mostly works."""
    bench, chance = Bench(), Random(1)
    open_checks = [bench.machine.begin(f"t{n}", bench.now) for n in range(50)]
    for _ in range(200):
        for ticket in open_checks:
            bench.machine.hear(ticket, UNREACHABLE if chance.random() < 1 / 3 else SERVED, bench.now)
        bench.now += 0.5
    assert bench.machine.transitions == []


@pytest.mark.parametrize("trouble", [LIMITED, BLOCKED])
def test_a_limit_and_a_barrier_are_no_chance(trouble: Sign) -> None:
    """Each tenant has heard of it once, and that is enough."""
    bench = Bench()
    for n in range(MANY):
        bench.machine.hear(bench.machine.begin(f"t{n}", 0), trouble, 0)
    assert bench.state is State.SLOW


def test_a_moments_trouble_is_slept_over() -> None:
    """Everybody is out of reach for a second: a while of going slowly, and no pause."""
    bench = Bench()
    bench.checks(50, UNREACHABLE, every=0)
    assert bench.state is State.SLOW
    bench.now += 0.5
    for _ in range(int(LIMITS.calm_for) + 1):
        bench.checks(50, SERVED, every=0)
        bench.now += 1
    assert [turn.after for turn in bench.machine.transitions] == [State.SLOW, State.CLOSED]


def test_whoever_stays_in_trouble_while_others_are_served_counts_no_more() -> None:
    """Eight of ten are blocked for good: they slow it down once, and their second look is let go."""
    bench = Bench()
    for _ in range(int(LIMITS.calm_for) + 1):
        if bench.now < 1:
            bench.checks(8, BLOCKED, every=0)
        bench.checks(2, SERVED, every=0, first=8)
        bench.now += 1
    assert bench.state is State.CLOSED
    for _ in range(100):
        assert all(bench.check(f"t{n}", BLOCKED) for n in range(8))
        bench.now += 10
    assert bench.state is State.CLOSED


def test_after_a_pause_whoever_was_in_trouble_before_it_is_let_go() -> None:
    """Another was served meanwhile: those who still are not are in trouble of their own, and do not pause it again."""
    bench = Bench().paused().probing()
    bench.check("t50", SERVED)
    for _ in range(3):
        assert all(bench.check(f"t{n}", BLOCKED) for n in range(10))
        bench.now += LIMITS.slow_before_pause
    assert (bench.state, len(bench.pauses)) == (State.SLOW, 1)


def test_whoever_was_served_again_counts_again() -> None:
    """After an outage the same tenants trip it a second time."""
    bench = Bench().paused().probing()
    bench.check("t0", SERVED)
    bench.checks(int(LIMITS.slow_after_pause), SERVED)
    assert bench.state is State.CLOSED
    bench.checks(LATEST, BLOCKED)
    assert bench.state is State.PAUSED


def test_a_pause_doubles_up_to_a_bound_and_begins_anew_once_all_was_well() -> None:
    """A minute, two, four, eight, fifteen, fifteen; and a minute again in the next outage."""
    bench = Bench().paused()
    for _ in range(5):
        bench.probing().check("t1", UNREACHABLE)
    assert bench.pauses == [60, 120, 240, 480, 900, 900]
    bench.probing().check("t1", SERVED)
    bench.checks(int(LIMITS.slow_after_pause), SERVED)
    bench.paused()
    assert bench.pauses[-1] == 60


def test_a_relapse_pauses_longer() -> None:
    """The check sent ahead was served by luck: five others in trouble, and it pauses for twice as long."""
    bench = Bench().paused().probing()
    bench.check("t50", SERVED)
    bench.checks(20, UNREACHABLE, first=100)
    assert bench.pauses == [60, 120]


def test_a_check_under_way_ends_with_the_pause_even_if_it_sleeps_through_it() -> None:
    """It sends nothing while it is paused, nor while another goes ahead, nor when all is well again."""
    bench = Bench()
    sleeper = bench.machine.begin("sleeper", bench.now)
    bench.paused()
    states = []
    for step in (lambda: None, bench.probing, lambda: bench.check("t1", SERVED)):
        step()
        assert not bench.machine.may_send(sleeper, bench.now)
        states.append(bench.state)
    assert states == [State.PAUSED, State.PROBING, State.SLOW]


def test_a_late_answer_to_another_ends_no_pause() -> None:
    """What was under way when the pause began is heard and does not count."""
    bench = Bench()
    late = bench.machine.begin("late", bench.now)
    bench.paused().probing()
    bench.machine.hear(late, SERVED, bench.now)
    assert bench.state is State.PROBING


def test_one_check_goes_ahead_and_hands_over_if_it_learned_nothing() -> None:
    """A second one waits; when the first could not even be tried (no key), the next takes its place."""
    bench = Bench().paused().probing()
    first, second = bench.machine.begin("a", bench.now), bench.machine.begin("b", bench.now)
    assert (bench.machine.may_send(first, bench.now), bench.machine.may_send(second, bench.now)) == (True, False)
    bench.machine.end(first, bench.now)
    assert bench.state is State.PROBING
    assert bench.check("c", SERVED)
    assert bench.state is State.SLOW


def test_answers_that_say_nothing_are_no_service() -> None:
    """The check sent ahead gets redirects and pages: after it, the pause goes on."""
    bench = Bench().paused().probing()
    bench.check("a", None)
    assert (bench.state, bench.machine.transitions[-1].reason) == (State.PAUSED, BreakerReason.NOT_SERVED)


def test_silence_closes_it() -> None:
    """Slow, and then nobody has anything to check: nothing is held against anybody."""
    bench = Bench()
    bench.checks(4, LIMITED)
    bench.check("t8", SERVED)
    bench.check("t9", LIMITED)
    assert bench.state is State.SLOW
    bench.now += LIMITS.forgets_after
    assert (bench.state, bench.machine.transitions[-1].reason) == (State.CLOSED, BreakerReason.SILENCE)
    bench.checks(MANY, LIMITED)
    assert bench.state is State.SLOW


def test_for_who_can_not_wait_a_pause_is_for_good() -> None:
    """A command that looks once does not try again."""
    bench = Bench(LIMITS.for_good()).paused()
    bench.now += 1e9
    assert bench.state is State.PAUSED


def test_its_times_follow_the_second_look() -> None:
    """A minute where that is set, less in a rehearsal, and never more."""
    assert Limits.of(60) == Limits.of(3600)
    assert (Limits.of(1).first_pause, Limits.of(0).longest_pause) == (1, 15)


class Weather(RuleBasedStateMachine):
    """Checks that begin, hear and end in any order, whatever they meet."""

    def __init__(self) -> None:
        super().__init__()
        self.now, self.bench = 0.0, Bench(jitter=0.7)
        self.machine = self.bench.machine
        self.open: list[Ticket] = []
        self.sent_ahead: list[Ticket] = []

    @rule(seconds=st.sampled_from([0.0, 0.5, 11.0, 31.0, 121.0, 1100.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.machine.look(self.now)
        if self.machine.state is not State.PROBING:
            self.sent_ahead.clear()

    @rule(tenant=st.integers(0, 30))
    def begins(self, tenant: int) -> None:
        self.open.append(self.machine.begin(f"t{tenant}", self.now))

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0), sign=st.sampled_from([*Sign, *TROUBLES, None]))
    def asks(self, which: int, sign: Sign | None) -> None:
        ticket = self.open[which % len(self.open)]
        if not self.machine.may_send(ticket, self.now):
            assert self.machine.state is not State.CLOSED or ticket.period < len(self.bench.pauses)
            return
        assert self.machine.state is not State.PAUSED
        if self.machine.state is State.PROBING:
            self.sent_ahead.append(ticket)
        self.machine.hear(ticket, sign, self.now)

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0))
    def ends(self, which: int) -> None:
        ticket = self.open.pop(which % len(self.open))
        self.machine.end(ticket, self.now)
        self.sent_ahead = [one for one in self.sent_ahead if one is not ticket]

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
        for seconds in self.bench.pauses:
            assert LIMITS.first_pause <= seconds <= LIMITS.longest_pause * (1 + LONGER_BY)

    @invariant()
    def turns_follow_each_other(self) -> None:
        allowed = {
            State.CLOSED: {State.SLOW},
            State.SLOW: {State.PAUSED, State.CLOSED},
            State.PAUSED: {State.PROBING},
            State.PROBING: {State.PAUSED, State.SLOW},
        }
        before = State.CLOSED
        for turn in self.machine.transitions:
            assert turn.before is before
            assert turn.after in allowed[before]
            before = turn.after

    def teardown(self) -> None:
        """Whatever happened: once everybody is served, it is closed within a pause and a while."""
        for ticket in self.open:
            self.machine.end(ticket, self.now)
        end = self.now + LIMITS.longest_pause * (1 + LONGER_BY) + LIMITS.slow_after_pause + LIMITS.calm_for + 20
        tenant = 0
        while self.now < end:
            tenant += 1
            ticket = self.machine.begin(f"new{tenant}", self.now)
            if self.machine.may_send(ticket, self.now):
                self.machine.hear(ticket, SERVED, self.now)
            self.machine.end(ticket, self.now)
            self.now += 5
        assert self.machine.state is State.CLOSED


TestWeather = Weather.TestCase
TestWeather.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


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
        (Answer(AnswerKind.UNKNOWN_REFUSAL, 403), True, None),  # one endpoint in new words
        (Answer(AnswerKind.TIMEOUT), True, UNREACHABLE),
        (Answer(AnswerKind.NO_CONNECTION), True, UNREACHABLE),
        (Answer(AnswerKind.SERVER_ERROR, 503), True, UNREACHABLE),
        (Answer(AnswerKind.REDIRECT, 302), False, None),
        (Answer(AnswerKind.NOT_JSON, 200, html=True), False, None),
        (Answer(AnswerKind.GONE, 410), False, None),  # a retired API is told by a state of its own
    ],
)
def test_what_an_answer_says_of_greenhouse(answer: Answer, served: bool, sign: Sign | None) -> None:
    """Limits, blocks and failures are trouble that many may share; whatever shows Greenhouse at work is service."""
    assert sign_of(answer, served) is sign


def test_the_page_has_the_codes_numbers() -> None:
    """Who reads docs/breaker.md reads what happens."""
    page = " ".join((ROOT / "docs" / "breaker.md").read_text("utf-8").split())
    assert f"of the {LATEST} tenants heard from last, {MANY} at least and half or more" in page
    assert f"the last {MANY} tenants heard from were all in trouble, {LIMITS.slow_before_pause:.0f} seconds on" in page
    assert f"{SLOW_REQUESTS_PER_SECOND:.0f} requests a second in all" in page
    assert (SLOW_PLACES_ONE_IN, "a quarter of the checks" in page) == (4, True)
    minutes = (LIMITS.calm_for, LIMITS.slow_after_pause, LIMITS.first_pause, LIMITS.longest_pause, LIMITS.forgets_after)
    assert [seconds / 60 for seconds in minutes] == [0.5, 2, 1, 15, 15]
    for words in ("half a minute", "after a pause two minutes", "a minute is over", "up to fifteen"):
        assert words in page
    assert all(f"`{name}`" in page for name in (*State, *BreakerReason))


def test_a_pause_has_a_bound_for_any_jitter() -> None:
    """The longest one is longer by a fifth at most."""
    bench = Bench(jitter=1.0).paused()
    for _ in range(30):
        bench.probing().check("t1", BLOCKED)
    assert math.isclose(max(bench.pauses), LIMITS.longest_pause * 1.2)
