"""The course of a check of Harvest v3, put to a model of Greenhouse: never a wrong verdict, and few requests."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checks.answer import Answer, AnswerKind
from checks.catalogue.entry import Entry
from checks.catalogue.scopes import known, scope
from checks.check_request import CheckRequest
from checks.check_run import CheckContext
from checks.credential import CredentialState, OAuthClient, Secret, Token
from checks.manifest import load
from checks.report import PAUSED, CheckReport, Outcome, Verdict
from checks.v3.check import PREFERRED, TokenCheckRun
from checks.v3.token_answers import AuthAnswer, AuthKind, Introspection
from checks.v3.token_state import AGAINST_CLIENT
from checks.v3.verdicts import ROLE_ID
from tests.cases import for_each

GEM = load("gem")
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
REQUIRED = frozenset(name for p in GEM.applying_to([]) for name in p.scopes)
EVERYTHING = frozenset(known())
HELD = OAuthClient(Secret("client-1"), Secret("secret-1"), Token("token-1"), organization="4242")
MINTING = replace(HELD, token=None)
ANYBODYS = replace(HELD, organization=None)
GEM_REQUEST = CheckRequest(GEM)
READ_BEFORE = CheckRequest(GEM, granted_before=frozenset(p.id for p in GEM.applying_to([])))


@dataclass
class World:
    """Greenhouse towards one client. `scopes` are the token's; `live` what the API still lets it do, if that differs.

    `told` replaces the answer to the introspection, `listed` the answer of every list.
    """

    scopes: frozenset[str] = REQUIRED
    live: frozenset[str] | None = None
    role: str | None = None
    told: AuthAnswer | None = None
    minted: AuthAnswer | None = None
    listed: Answer | None = None
    organization: str | None = "4242"
    client_id: str | None = "client-1"
    active: bool = True
    expires_at: datetime | None = None
    asked: list[str] = field(default_factory=list)

    @property
    def requests(self) -> int:
        return len(self.asked)

    async def mint(self, may_send: Callable[[], None]) -> AuthAnswer:
        self._ask("mint", may_send)
        return self.minted or AuthAnswer(AuthKind.JSON, 200, token=Token("token-2"))

    async def introspect(self, token: Token, may_send: Callable[[], None]) -> AuthAnswer:
        self._ask("introspect", may_send)
        told = Introspection(
            self.active, self.client_id, self.scopes or None, self.organization, self.role, True, self.expires_at
        )
        return self.told or AuthAnswer(AuthKind.JSON, 200, introspection=told)

    async def list(self, entry: Entry, token: Token, may_send: Callable[[], None]) -> Answer:
        self._ask(entry.endpoint, may_send)
        if self.listed is not None:
            return self.listed
        name = f"harvest:{entry.target.split('/')[2].partition('?')[0]}:list"
        admin = self.role in (None, "Site Admin")
        may = name in (self.scopes if self.live is None else self.live) and admin
        return Answer(AnswerKind.JSON, 200) if may else Answer(AnswerKind.FORBIDDEN, 403)

    def _ask(self, what: str, may_send: Callable[[], None]) -> None:
        may_send()
        self.asked.append(what)


def check(
    world: World,
    client: OAuthClient = HELD,
    request: CheckRequest = GEM_REQUEST,
    stop: Callable[[], bool] = lambda: False,
) -> CheckReport:
    return asyncio.run(
        TokenCheckRun(world, client, request, CheckContext(lambda: NOW, lambda: 0.0, 60.0, stop)).report()
    )


def missing(report: CheckReport) -> set[str]:
    return {finding.permission_id for finding in report.findings if finding.verdict is Verdict.MISSING}


def told(kind: AuthKind, **facts: object) -> AuthAnswer:
    introspection = Introspection(**{"active": True, **facts}) if kind is AuthKind.JSON else None  # type: ignore[arg-type]
    return AuthAnswer(kind, None, introspection=introspection)


@for_each(sorted(REQUIRED))
def test_a_client_that_lacks_one_scope_lacks_exactly_its_permissions(lost: str) -> None:
    """Right for every permission that the scope carries, and for no other: a list that is said to be missing is asked
    for as well.
    """
    world = World(REQUIRED - {lost})
    report = check(world)
    assert missing(report) == {permission.id for permission in GEM.permissions if lost in permission.scopes}
    assert all(finding.scopes == (lost,) for finding in report.missing)
    assert report.outcome is Outcome.DRIFTED
    assert report.requests == (3 if scope(lost).list else 2)


def test_a_token_is_confirmed_by_a_list_about_nobody() -> None:
    """Of what it may read, a list of reference data is read first: no note or candidate comes back without need."""
    world, poor = World(), World(frozenset({"harvest:notes:list", "harvest:offers:list"}))
    check(world)
    check(poor)
    assert world.asked == ["introspect", "GET /v3/departments"]
    assert poor.asked[:2] == ["introspect", "GET /v3/notes"]
    assert all(scope(name).proves for name in PREFERRED)


def test_a_client_with_every_scope_shows_those_beyond_the_manifest() -> None:
    """163 less the 37 that are required, each by Greenhouse's title; with EEOC one fewer."""
    plain, with_eeoc = (
        check(World(EVERYTHING)),
        check(World(EVERYTHING), request=CheckRequest(GEM, frozenset({"eeoc"}))),
    )
    assert {excess.endpoint for excess in plain.excess} == EVERYTHING - REQUIRED
    assert {excess.endpoint for excess in plain.excess} - {e.endpoint for e in with_eeoc.excess} == {
        "harvest:eeoc:list"
    }
    assert "Applications › Hire applications" in {excess.label for excess in plain.excess}
    assert plain.outcome is Outcome.COMPLIANT
    assert plain.excess_is_whole


def test_a_scope_that_is_not_known_yet_is_excess_by_its_own_name() -> None:
    """Greenhouse adds scopes over time."""
    report = check(World(REQUIRED | {"harvest:new_things:list"}))
    assert [(excess.label, excess.endpoint) for excess in report.excess] == [
        ("New things › List", "harvest:new_things:list")
    ]


def test_a_new_token_costs_one_request_more() -> None:
    """Mint, introspect, one list."""
    world = World()
    assert check(world, MINTING).outcome is Outcome.COMPLIANT
    assert world.asked[:2] == ["mint", "introspect"]
    assert world.requests == 3


@settings(max_examples=300, deadline=None)
@given(
    st.frozensets(st.sampled_from(sorted(EVERYTHING))),
    st.frozensets(st.sampled_from(sorted(REQUIRED)), max_size=5),
    st.sampled_from([None, "Site Admin", "Job Admin", "Basic", "Wizard"]),
    st.sampled_from([None, AuthKind.SERVER_ERROR, AuthKind.UNUSABLE, AuthKind.JSON]),
    st.booleans(),
)
def test_no_verdict_is_ever_wrong(
    scopes: frozenset[str], withdrawn: frozenset[str], role: str | None, kind: AuthKind | None, eeoc: bool
) -> None:
    """Whatever a token carries, whomever it acts for, whether introspection works, and what was withdrawn since.

    `granted` is what its scopes still let it do; `missing` is what they do not, or not any more.
    """
    question = CheckRequest(GEM, frozenset({"eeoc"} if eeoc else ()))
    world = World(scopes, live=scopes - withdrawn, role=role, told=None if kind is None else told(kind))
    for finding in check(world, ANYBODYS, question).findings:
        if finding.permission_id == ROLE_ID:
            assert finding.verdict is not Verdict.MISSING or role in ("Job Admin", "Basic")
            assert finding.verdict is not Verdict.GRANTED or role in (None, "Site Admin")
        elif finding.verdict is Verdict.MISSING:
            assert not (scopes - withdrawn).issuperset(finding.scopes)
        elif finding.verdict is Verdict.GRANTED and not withdrawn:
            assert scopes.issuperset(finding.scopes)


def test_a_token_whose_list_is_refused_decides_nothing() -> None:
    """It says that it may read and may not: a scope was withdrawn, or the token revoked, since it was given."""
    report = check(World(REQUIRED - {"harvest:jobs:list"}, listed=Answer(AnswerKind.FORBIDDEN, 403)))
    assert {f.reason for f in report.findings if f.permission_id != ROLE_ID} == {"stale_token"}
    assert (report.outcome, report.excess, report.excess_is_whole) == (Outcome.UNDECIDED, (), False)


# What every list answers to a token of which introspection says that it is active.
UNSERVED = [
    (AnswerKind.UNAUTHORIZED, "token_refused"),
    (AnswerKind.RATE_LIMITED, "rate_limited"),
    (AnswerKind.SERVER_ERROR, "server_error"),
    (AnswerKind.TIMEOUT, "timeout"),
    (AnswerKind.NO_CONNECTION, "no_connection"),
    (AnswerKind.GONE, "no_usable_answer"),
    (AnswerKind.NOT_JSON, "no_usable_answer"),
    (AnswerKind.REDIRECT, "no_usable_answer"),
]


@pytest.mark.parametrize(("kind", "detail"), UNSERVED)
@pytest.mark.parametrize("expires_at", [None, NOW - timedelta(hours=1)])
@pytest.mark.parametrize("scopes", [REQUIRED, frozenset({"harvest:candidates:create"}), frozenset()])
def test_introspection_alone_does_not_show_that_a_credential_works(
    scopes: frozenset[str], expires_at: datetime | None, kind: AnswerKind, detail: str
) -> None:
    """Whatever it says of the token, also against itself, and whichever lists the token may read."""
    report = check(World(scopes, expires_at=expires_at, listed=Answer(kind)), ANYBODYS)
    assert (report.state, report.detail, missing(report)) == (CredentialState.UNREACHABLE, detail, set())


@pytest.mark.parametrize("scopes", [frozenset({"harvest:candidates:create"}), frozenset({"harvest:webhooks:list"})])
def test_a_token_that_may_read_no_list_works_if_the_api_refuses_it_by_permission(scopes: frozenset[str]) -> None:
    """An API that does not know a token says so in other words."""
    small = replace(GEM, permissions=tuple(p for p in GEM.permissions if scopes.issuperset(p.scopes)))
    world = World(scopes)
    report = check(world, request=CheckRequest(small))
    assert (report.state, world.requests) == (CredentialState.OK, 2)


def test_one_401_of_a_list_does_not_make_a_token_refused() -> None:
    """Another list is read, and what the two say decides nothing."""

    class Once(World):
        async def list(self, entry: Entry, token: Token, may_send: Callable[[], None]) -> Answer:
            self.listed = None if self.asked[1:] else Answer(AnswerKind.UNAUTHORIZED, 401)
            return await super().list(entry, token, may_send)

    report = check(Once())
    assert (report.state, report.outcome) == (CredentialState.OK, Outcome.UNDECIDED)
    assert {f.reason for f in report.findings if f.verdict is Verdict.UNDECIDED} == {"stale_token"}


def test_a_page_instead_of_a_list_is_a_block() -> None:
    """An address that may not ask: nothing of the token is judged."""
    report = check(World(listed=Answer(AnswerKind.UNKNOWN_REFUSAL, 403, html=True)))
    assert (report.state, report.detail, missing(report)) == (CredentialState.BLOCKED, "unknown_refusal", set())


def test_a_page_instead_of_one_list_is_no_block() -> None:
    """The next list is served: what spoke for the credential is not forgotten."""

    class OnePath(World):
        async def list(self, entry: Entry, token: Token, may_send: Callable[[], None]) -> Answer:
            found = await super().list(entry, token, may_send)
            blocked = entry.endpoint == "GET /v3/departments"
            return Answer(AnswerKind.UNKNOWN_REFUSAL, 403, html=True) if blocked else found

    world = OnePath()
    report = check(world)
    assert (report.state, report.outcome, world.requests) == (CredentialState.OK, Outcome.COMPLIANT, 3)


@pytest.mark.parametrize("role", ["Job Admin", "basic", "JOB_ADMIN"])
def test_another_role_is_a_finding_of_its_own(role: str) -> None:
    """Lists are for Site Admins: that one thing is missing, and what lists are refused for is left open."""
    report = check(World(role=role))
    assert missing(report) == {ROLE_ID}
    assert {f.reason for f in report.findings if f.verdict is Verdict.UNDECIDED} == {"other_role"}


@pytest.mark.parametrize(
    ("role", "verdict"),
    [
        ("Site Admin", "granted"),
        ("SITE_ADMIN", "granted"),
        (None, "granted"),
        ("Wizard", "undecided"),
        ("?", "undecided"),
    ],
)
def test_a_role_is_known_however_it_is_spelled_and_else_left_open(role: str | None, verdict: str) -> None:
    report = check(World(role=role, listed=Answer(AnswerKind.JSON, 200)))
    assert {f.verdict for f in report.findings if f.permission_id == ROLE_ID} == {verdict}


ROWS, EMPTY = Answer(AnswerKind.JSON, 200), Answer(AnswerKind.JSON, 200, empty=True)
# What lists answer to a token whose user is said to be `Basic`; the verdict on the role; how many lists are read.
LISTS_OF_ANOTHER_ROLE = [
    ([ROWS], "undecided", "contradicted", 1),
    ([EMPTY, ROWS], "undecided", "contradicted", 2),
    ([EMPTY], "missing", "other_role", 4),
    ([EMPTY, Answer(AnswerKind.FORBIDDEN, 403)], "missing", "other_role", 2),
    ([EMPTY, Answer(AnswerKind.TIMEOUT)], "undecided", "unconfirmed_role", 2),
]


@pytest.mark.parametrize(("answers", "verdict", "reason", "lists"), LISTS_OF_ANOTHER_ROLE)
def test_another_role_is_believed_only_if_lists_agree(
    answers: list[Answer], verdict: str, reason: str, lists: int
) -> None:
    """Lists are for Site Admins; how the role of a service user is spelled is documented nowhere."""

    class InTurn(World):
        async def list(self, entry: Entry, token: Token, may_send: Callable[[], None]) -> Answer:
            self.listed = answers[min(len(self.asked), len(answers)) - 1]
            return await super().list(entry, token, may_send)

    world = InTurn(role="Basic")
    report = check(world)
    (role,) = [f for f in report.findings if f.permission_id == ROLE_ID]
    assert (role.verdict, role.reason, world.requests) == (verdict, reason, 1 + lists)
    assert report.state is CredentialState.OK


def test_one_empty_list_does_not_tell_that_the_user_is_no_site_admin() -> None:
    """A token that may read one list only, at a customer who has nothing there."""
    world = World(frozenset({"harvest:notes:list"}), role="Basic", listed=EMPTY)
    small = replace(GEM, permissions=tuple(p for p in GEM.permissions if p.scopes == ("harvest:notes:list",)))
    (role,) = [f for f in check(world, request=CheckRequest(small)).findings if f.permission_id == ROLE_ID]
    assert (role.verdict, role.reason) == (Verdict.UNDECIDED, "unconfirmed_role")


# What the auth server says of a client or its token, and what the credential is then.
AUTH = [
    (told(AuthKind.MALFORMED_CLIENT), CredentialState.MISCONFIGURED, "malformed_client"),
    (told(AuthKind.GRANT_REFUSED), CredentialState.MISCONFIGURED, "grant_refused"),
    (told(AuthKind.RATE_LIMITED), CredentialState.UNREACHABLE, "rate_limited"),
    (told(AuthKind.BLOCKED), CredentialState.UNREACHABLE, "auth_server_refused"),
    (told(AuthKind.JSON, client_id="client-9"), CredentialState.MISCONFIGURED, "foreign_client"),
    (told(AuthKind.JSON, organization="9"), CredentialState.MISCONFIGURED, "foreign_organization"),
    (told(AuthKind.JSON, active=False), CredentialState.UNREACHABLE, "token_inactive"),
    (told(AuthKind.JSON, active=False, expires_at=NOW), CredentialState.UNREACHABLE, "token_stale"),
]


@pytest.mark.parametrize(("answer", "state", "detail"), AUTH)
def test_what_the_auth_server_refuses_is_a_state_and_no_missing_permission(
    answer: AuthAnswer, state: CredentialState, detail: str
) -> None:
    """Nothing is asked of Harvest then, and nothing judged; what says that a wrong text is stored is asked twice."""
    world = World(told=answer)
    report = check(world)
    assert (report.state, report.detail) == (state, detail)
    assert {finding.verdict for finding in report.findings} <= {Verdict.UNDECIDED, Verdict.NOT_CHECKABLE}
    assert world.asked == ["introspect"] * (1 if state is CredentialState.UNREACHABLE else 2)


# The auth server refuses the client of a held token; what the lists answer, and what the credential is then.
HELD_TOKENS = [
    (AuthKind.INVALID_CLIENT, AnswerKind.UNAUTHORIZED, CredentialState.INVALID, "invalid_client", 1),
    (AuthKind.INVALID_CLIENT, AnswerKind.JSON, CredentialState.MISCONFIGURED, "secret_refused", 1),
    (AuthKind.INVALID_CLIENT, AnswerKind.FORBIDDEN, CredentialState.UNREACHABLE, "unconfirmed_client", 4),
    (AuthKind.INVALID_CLIENT, AnswerKind.TIMEOUT, CredentialState.UNREACHABLE, "unconfirmed_client", 4),
    (AuthKind.INVALID_CLIENT, AnswerKind.UNKNOWN_REFUSAL, CredentialState.UNREACHABLE, "unconfirmed_client", 4),
    (AuthKind.NO_SCOPES, AnswerKind.UNAUTHORIZED, CredentialState.INVALID, "no_scopes", 1),
    (AuthKind.NO_SCOPES, AnswerKind.FORBIDDEN, CredentialState.INVALID, "no_scopes", 4),
    (AuthKind.NO_SCOPES, AnswerKind.JSON, CredentialState.UNREACHABLE, "contradicted", 1),
    (AuthKind.NO_SCOPES, AnswerKind.SERVER_ERROR, CredentialState.UNREACHABLE, "unconfirmed_client", 4),
]


@pytest.mark.parametrize("client", [HELD, ANYBODYS])
@pytest.mark.parametrize(("kind", "answer", "state", "detail", "lists"), HELD_TOKENS)
def test_a_refused_client_is_invalid_only_if_the_api_refuses_the_held_token_as_well(
    client: OAuthClient, kind: AuthKind, answer: AnswerKind, state: CredentialState, detail: str, lists: int
) -> None:
    """The integration has a secret of its own, and ours may be the old one: its token shows whether it works."""
    world = World(told=told(kind), listed=Answer(answer))
    report = check(world, client)
    assert (report.state, report.detail) == (state, detail)
    assert world.asked[:3] == ["introspect", "introspect", "GET /v3/departments"]
    assert (len(world.asked), missing(report)) == (2 + lists, set())


def test_a_refused_client_is_tried_by_a_list_that_its_token_opened_before() -> None:
    """One whose scope it never had would be refused to any token."""
    poor = frozenset({"harvest:offers:list"})
    before = frozenset(p.id for p in GEM.permissions if poor.issuperset(p.scopes))
    world = World(poor, told=told(AuthKind.INVALID_CLIENT))
    assert check(world, request=CheckRequest(GEM, granted_before=before)).detail == "secret_refused"
    assert world.asked == ["introspect", "introspect", "GET /v3/offers"]


def test_a_list_that_is_refused_in_two_ways_confirms_nothing_about_a_refused_client() -> None:
    """The API knew the token a moment before it did not."""

    class Changing(World):
        async def list(self, entry: Entry, token: Token, may_send: Callable[[], None]) -> Answer:
            self.listed = Answer(AnswerKind.UNAUTHORIZED if self.listed else AnswerKind.FORBIDDEN)
            return await super().list(entry, token, may_send)

    report = check(Changing(told=told(AuthKind.INVALID_CLIENT)))
    assert (report.state, report.detail) == (CredentialState.UNREACHABLE, "unconfirmed_client")


def test_a_check_that_ends_before_the_held_token_is_tried_says_nothing_about_the_client() -> None:
    moments = iter([0.0, 0.0, 0.0, 61.0, 61.0])
    context = CheckContext(lambda: NOW, lambda: next(moments), 60.0, lambda: False)
    report = asyncio.run(TokenCheckRun(World(told=told(AuthKind.INVALID_CLIENT)), HELD, GEM_REQUEST, context).report())
    assert (report.state, report.detail) == (CredentialState.UNREACHABLE, "unconfirmed_client")


@pytest.mark.parametrize(
    ("kind", "state", "detail"),
    [
        (AuthKind.NO_SCOPES, CredentialState.INVALID, "no_scopes"),
        (AuthKind.INVALID_CLIENT, CredentialState.INVALID, "invalid_client"),
        (AuthKind.RATE_LIMITED, CredentialState.UNREACHABLE, "rate_limited"),
        (AuthKind.BLOCKED, CredentialState.UNREACHABLE, "auth_server_refused"),
        (AuthKind.NO_CONNECTION, CredentialState.UNREACHABLE, "no_connection"),
        (AuthKind.UNUSABLE, CredentialState.UNREACHABLE, "no_usable_answer"),
    ],
)
def test_a_token_that_is_not_given_ends_the_check(kind: AuthKind, state: CredentialState, detail: str) -> None:
    """No held one is tried instead. Where the client is refused, it is asked for once more; no token came of that."""
    world = World(minted=told(kind))
    report = check(world, MINTING)
    asked = ["mint"] * (2 if kind in AGAINST_CLIENT else 1)
    assert (report.state, report.detail, world.asked) == (state, detail, asked)


def in_turn(*answers: AuthAnswer) -> World:
    """Introspection answers so, one after the other; the last one stays."""

    class Changing(World):
        async def introspect(self, token: Token, may_send: Callable[[], None]) -> AuthAnswer:
            self.told = answers[min(self.asked.count("introspect"), len(answers) - 1)]
            return await super().introspect(token, may_send)

    return Changing()


AGAINST = sorted(AGAINST_CLIENT)
WELL = told(AuthKind.JSON, scopes=REQUIRED, organization="4242", client_id="client-1")


@pytest.mark.parametrize("kind", AGAINST)
def test_a_client_that_was_just_given_a_token_is_not_refused_as_a_whole(kind: AuthKind) -> None:
    """Asked once more, the second answer decides; if it is the same, the two contradict each other."""
    world = in_turn(told(kind))
    report = check(world, MINTING)
    assert (report.state, report.detail) == (CredentialState.UNREACHABLE, "contradicted")
    assert (world.asked, missing(report)) == (["mint", "introspect", "introspect"], set())
    assert check(in_turn(told(kind), WELL), MINTING).outcome is Outcome.COMPLIANT
    foreign = check(in_turn(told(AuthKind.JSON, client_id="client-9")), MINTING)
    assert (foreign.state, foreign.detail) == (CredentialState.UNREACHABLE, "contradicted")


@pytest.mark.parametrize("kind", AGAINST)
def test_one_refusal_of_a_client_with_a_held_token_is_asked_about_again(kind: AuthKind) -> None:
    """The second answer decides."""
    assert check(in_turn(told(kind), WELL)).outcome is Outcome.COMPLIANT
    after_failure = check(in_turn(told(kind), told(AuthKind.SERVER_ERROR)))
    assert (after_failure.state, after_failure.detail) == (CredentialState.UNREACHABLE, "server_error")


@pytest.mark.parametrize("spelled", ["CLIENT-1", "client", "17", "https://auth.greenhouse.io/clients/1"])
def test_our_own_client_spelled_in_another_way_is_not_another_one(spelled: str) -> None:
    """How introspection spells a client is recorded nowhere."""
    assert check(World(client_id=spelled)).outcome is Outcome.COMPLIANT
    assert check(World(client_id="client-12")).detail == "foreign_client"


@pytest.mark.parametrize("mixed_up", [{"client_id": "client-9"}, {"organization": "9"}])
def test_one_answer_about_another_customers_token_is_asked_about_again(mixed_up: dict[str, str]) -> None:
    """It may be mixed up: the second answer decides."""
    world = in_turn(told(AuthKind.JSON, scopes=REQUIRED, **mixed_up), WELL)
    assert (check(world).outcome, world.asked) == (Outcome.COMPLIANT, ["introspect"] * 2 + ["GET /v3/departments"])


@pytest.mark.parametrize("minutes", [-60, -1, 0, 4])
def test_clocks_that_differ_by_five_minutes_do_not_make_an_expired_token_look_revoked(minutes: int) -> None:
    """By our clock it has a few minutes left; by theirs it has run out."""
    report = check(World(active=False, expires_at=NOW + timedelta(minutes=minutes)))
    assert report.detail == "token_stale"
    assert check(World(active=False, expires_at=NOW + timedelta(minutes=6))).detail == "token_inactive"


def test_an_active_token_is_judged_whatever_its_expiry_says() -> None:
    """The auth server's clock is the one that counts, as far as clocks differ."""
    assert check(World(expires_at=NOW - timedelta(minutes=5))).outcome is Outcome.COMPLIANT
    report = check(World(REQUIRED - {"harvest:notes:create"}, expires_at=NOW - timedelta(minutes=6)))
    assert (report.state, {finding.reason for finding in report.findings}) == (CredentialState.OK, {"contradicted"})


def test_whose_token_it_is_must_be_told_where_it_was_asked_for() -> None:
    """Doubt about the organization is no verdict; where the tenants file names none, nothing is asked."""
    report = check(World(organization=None))
    assert {f.reason for f in report.findings} == {"organization_untold"}
    assert check(World(organization=None), ANYBODYS).outcome is Outcome.COMPLIANT


@pytest.mark.parametrize("answer", [told(AuthKind.SERVER_ERROR), told(AuthKind.UNUSABLE), told(AuthKind.JSON)])
def test_without_introspection_lists_decide_on_reads_and_nothing_on_writes(answer: AuthAnswer) -> None:
    """Each list of the manifest's scopes once, and again what was read before and is refused now: that is missing."""
    world = World(REQUIRED - {"harvest:jobs:list"}, told=answer)
    report = check(world, ANYBODYS, READ_BEFORE)
    reads = {p.id for p in GEM.applying_to([]) if scope(p.scopes[0]).list}
    by_verdict = {v: {f.permission_id for f in report.findings if f.verdict is v} for v in Verdict}
    assert by_verdict[Verdict.MISSING] == {p.id for p in GEM.permissions if p.scopes == ("harvest:jobs:list",)}
    assert by_verdict[Verdict.GRANTED] == reads - by_verdict[Verdict.MISSING]
    assert by_verdict[Verdict.NOT_CHECKABLE] == {p.id for p in GEM.applying_to([])} - reads | {ROLE_ID}
    assert world.requests == 1 + len({name for name in REQUIRED if scope(name).list}) + 1
    assert not report.excess_is_whole


OFFERS, NOTE = "harvest:offers:list", "harvest:notes:create"
MISSING_BEFORE = CheckRequest(
    GEM, missing_before=frozenset(p.id for p in GEM.permissions if {OFFERS, NOTE} & {*p.scopes})
)


def returned(report: CheckReport) -> dict[str, tuple[Verdict, str]]:
    return {f.scopes[0]: (f.verdict, f.reason) for f in report.findings if {OFFERS, NOTE} & {*f.scopes}}


def test_a_list_that_was_missing_is_read_before_it_is_called_back() -> None:
    """Of what has no list, the reason says that only introspection shows it."""
    world = World()
    found = returned(check(world, request=MISSING_BEFORE))
    assert found == {OFFERS: (Verdict.GRANTED, "data"), NOTE: (Verdict.GRANTED, "scope_carried")}
    assert world.asked == ["introspect", "GET /v3/departments", "GET /v3/offers"]


def test_a_list_that_is_said_to_be_back_and_is_refused_makes_the_answer_doubtful() -> None:
    """Introspection has not heard that the scope was taken away: then nothing else that it says is news either."""
    report = check(World(live=REQUIRED - {OFFERS}), request=MISSING_BEFORE)
    assert set(returned(report).values()) == {(Verdict.UNDECIDED, "stale_token")}
    assert (report.state, report.outcome, report.excess) == (CredentialState.OK, Outcome.UNDECIDED, ())


def test_a_list_that_is_said_to_be_back_and_gives_no_answer_is_left_open() -> None:
    """It alone: the others were not missing."""

    class Slow(World):
        async def list(self, entry: Entry, token: Token, may_send: Callable[[], None]) -> Answer:
            found = await super().list(entry, token, may_send)
            return Answer(AnswerKind.TIMEOUT) if entry.endpoint == "GET /v3/offers" else found

    report = check(Slow(), request=MISSING_BEFORE)
    assert returned(report)[OFFERS] == (Verdict.UNDECIDED, "timeout")
    assert {f.scopes for f in report.findings if f.verdict is Verdict.UNDECIDED} == {(OFFERS,)}


def test_a_token_that_names_no_scope_and_may_read_nothing_has_none() -> None:
    """Both together are certain; a token that names none and reads a list is judged by its lists."""
    named_none = told(AuthKind.JSON, names_none=True, organization="4242", role_stated=True)
    report = check(World(frozenset(), told=named_none))
    assert (report.state, report.detail, missing(report)) == (CredentialState.INVALID, "no_scopes", set())
    assert check(World(REQUIRED, told=named_none)).state is CredentialState.OK
    assert check(World(frozenset(), told=named_none), MINTING).state is CredentialState.OK


# What else than unticked scopes explains that none is named, and every list refused.
OTHER_REASONS = [
    ({"role": "Basic", "role_stated": True}, GEM_REQUEST, {ROLE_ID}),  # the answer says so itself
    ({"role": "Wizard", "role_stated": True}, GEM_REQUEST, set()),
    ({}, GEM_REQUEST, set()),  # the role is not told
    ({"role_stated": True}, replace(READ_BEFORE, granted_by_list=READ_BEFORE.granted_before), set()),  # never names any
]


@pytest.mark.parametrize(("facts", "request_", "lacks"), OTHER_REASONS)
def test_a_client_has_no_scopes_only_if_nothing_else_explains_it(
    facts: dict[str, object], request_: CheckRequest, lacks: set[str]
) -> None:
    """Nobody is asked to tick scopes that are ticked."""
    named_none = told(AuthKind.JSON, names_none=True, organization="4242", **facts)
    report = check(World(frozenset(), told=named_none), request=request_)
    assert (report.state, missing(report)) == (CredentialState.OK, lacks)


@pytest.mark.parametrize(
    ("answer", "detail"),
    [(told(AuthKind.SERVER_ERROR), "server_error"), (told(AuthKind.JSON), "organization_untold")],
)
def test_no_list_is_read_with_a_token_that_may_be_another_customers(answer: AuthAnswer, detail: str) -> None:
    """Where the tenants file says whose it must be, and nothing has confirmed that. A new token is the client's own."""
    world = World(told=answer)
    report = check(world)
    assert (report.state, report.detail, world.asked) == (CredentialState.UNREACHABLE, detail, ["introspect"])
    assert missing(report) == set()
    assert check(World(told=answer), MINTING).state is CredentialState.OK


def test_scopes_by_other_names_than_greenhouses_tell_nothing() -> None:
    """A spelling that was never recorded must not make everything missing: the lists decide."""
    names = frozenset({"harvest:jobs:read", "harvest:users:read"})
    world = World(told=told(AuthKind.JSON, scopes=names), scopes=REQUIRED - {"harvest:jobs:list"})
    report = check(world, ANYBODYS, READ_BEFORE)
    assert {finding.scopes for finding in report.missing} == {("harvest:jobs:list",)}
    assert world.requests > 20


def test_lists_that_are_all_refused_may_be_a_matter_of_the_role() -> None:
    """Without one that works, 403 is no missing scope."""
    report = check(World(told=told(AuthKind.JSON), listed=Answer(AnswerKind.FORBIDDEN, 403)), ANYBODYS)
    assert (report.state, missing(report)) == (CredentialState.OK, set())
    assert {f.reason for f in report.findings if f.verdict is Verdict.UNDECIDED} == {"scope_or_role"}


def test_lists_that_are_all_refused_do_not_show_that_a_credential_works() -> None:
    """Neither the auth server nor the API knew it: something in between may have refused them all."""
    report = check(World(told=told(AuthKind.TIMEOUT), listed=Answer(AnswerKind.FORBIDDEN, 403)), ANYBODYS)
    assert (report.state, report.detail) == (CredentialState.UNREACHABLE, "every_list_refused")
    assert missing(report) == set()


@pytest.mark.parametrize(
    ("kind", "state", "detail", "requests"),
    [
        (AnswerKind.UNAUTHORIZED, CredentialState.UNREACHABLE, "token_refused", 3),
        (AnswerKind.UNKNOWN_REFUSAL, CredentialState.BLOCKED, "unknown_refusal", 3),
        (AnswerKind.NO_CONNECTION, CredentialState.UNREACHABLE, "no_connection", 4),
    ],
)
def test_lists_that_fail_alike_are_not_asked_to_the_end(
    kind: AnswerKind, state: CredentialState, detail: str, requests: int
) -> None:
    world = World(told=told(AuthKind.NO_CONNECTION), listed=Answer(kind))
    report = check(world, ANYBODYS)
    assert (report.state, report.detail, world.requests) == (state, detail, requests)


def test_a_check_that_is_stopped_from_outside_is_paused() -> None:
    """Nothing is sent, and nothing follows from it."""
    world = World()
    report = check(world, stop=lambda: True)
    assert (report.detail, report.paused, world.asked) == (PAUSED, True, [])
    assert {finding.verdict for finding in report.findings} <= {Verdict.UNDECIDED, Verdict.NOT_CHECKABLE}


def test_a_check_past_its_deadline_sends_no_more() -> None:
    """As after a sleep that no timer has noticed."""
    moments = iter([0.0, 0.0, 61.0, 61.0])
    context = CheckContext(lambda: NOW, lambda: next(moments), 60.0, lambda: False)
    world = World()
    report = asyncio.run(TokenCheckRun(world, HELD, GEM_REQUEST, context).report())
    assert world.asked == ["introspect"]
    assert (report.state, report.detail, missing(report)) == (CredentialState.UNREACHABLE, "deadline", set())


def test_what_the_customer_declined_is_marked() -> None:
    """It is found missing, and is no drift."""
    declined = next(p.id for p in GEM.permissions if p.scopes == ("harvest:candidates:merge",))
    report = check(
        World(REQUIRED - {"harvest:candidates:merge"}), request=CheckRequest(GEM, declined=frozenset({declined}))
    )
    assert report.outcome is Outcome.COMPLIANT
