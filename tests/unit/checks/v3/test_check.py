"""One check of Harvest v3 against a fake Greenhouse: never a wrong verdict, and few requests."""

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


@dataclass
class FakeGreenhouseV3:
    """Answers one client. `scopes` are the token's; `live` are those the API still accepts, if they differ.

    `auth_answer` replaces the answer to the introspection, `listed` the answer of every list.
    """

    scopes: frozenset[str] = REQUIRED
    live: frozenset[str] | None = None
    role: str | None = None
    auth_answer: AuthAnswer | None = None
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
        introspection = Introspection(
            self.active, self.client_id, self.scopes or None, self.organization, self.role, True, self.expires_at
        )
        return self.auth_answer or AuthAnswer(AuthKind.JSON, 200, introspection=introspection)

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
    greenhouse: FakeGreenhouseV3,
    client: OAuthClient = HELD,
    request: CheckRequest = GEM_REQUEST,
    stop: Callable[[], bool] = lambda: False,
) -> CheckReport:
    return asyncio.run(
        TokenCheckRun(greenhouse, client, request, CheckContext(lambda: NOW, lambda: 0.0, 60.0, stop)).report()
    )


def missing(report: CheckReport) -> set[str]:
    return {finding.permission_id for finding in report.findings if finding.verdict is Verdict.MISSING}


def answered(kind: AuthKind, **facts: object) -> AuthAnswer:
    introspection = Introspection(**{"active": True, **facts}) if kind is AuthKind.JSON else None  # type: ignore[arg-type]
    return AuthAnswer(kind, None, introspection=introspection)


@for_each(sorted(REQUIRED))
def test_exactly_the_permissions_of_a_lost_scope_are_missing(lost: str) -> None:
    """Every permission that needs the scope, and no other; two requests with a held token."""
    greenhouse = FakeGreenhouseV3(REQUIRED - {lost})
    report = check(greenhouse)
    assert missing(report) == {permission.id for permission in GEM.permissions if lost in permission.scopes}
    assert all(finding.scopes == (lost,) for finding in report.missing)
    assert report.outcome is Outcome.DRIFTED
    assert report.requests == 2


def test_a_token_is_confirmed_by_a_list_about_nobody() -> None:
    """It reads a list of reference data if it may: notes and candidates only if there is nothing else."""
    greenhouse, narrow = FakeGreenhouseV3(), FakeGreenhouseV3(frozenset({"harvest:notes:list", "harvest:offers:list"}))
    check(greenhouse)
    check(narrow)
    assert greenhouse.asked == ["introspect", "GET /v3/departments"]
    assert narrow.asked == ["introspect", "GET /v3/notes"]
    assert all(scope(name).proves for name in PREFERRED)


def test_a_client_with_every_scope_shows_those_beyond_the_manifest() -> None:
    """All 163 but the 37 required ones, each with Greenhouse's title; one fewer with EEOC."""
    plain, with_eeoc = (
        check(FakeGreenhouseV3(EVERYTHING)),
        check(FakeGreenhouseV3(EVERYTHING), request=CheckRequest(GEM, frozenset({"eeoc"}))),
    )
    assert {excess.endpoint for excess in plain.excess} == EVERYTHING - REQUIRED
    assert {excess.endpoint for excess in plain.excess} - {e.endpoint for e in with_eeoc.excess} == {
        "harvest:eeoc:list"
    }
    assert "Applications › Hire applications" in {excess.label for excess in plain.excess}
    assert plain.outcome is Outcome.COMPLIANT
    assert plain.excess_is_whole


def test_an_unknown_scope_is_excess_under_its_own_name() -> None:
    """Greenhouse may add scopes at any time."""
    report = check(FakeGreenhouseV3(REQUIRED | {"harvest:new_things:list", "odd"}))
    assert [(excess.label, excess.endpoint) for excess in report.excess] == [
        ("New things › List", "harvest:new_things:list"),
        ("Odd › Odd", "odd"),
    ]


def test_a_new_token_costs_one_request_more() -> None:
    """Mint, introspect, one list."""
    greenhouse = FakeGreenhouseV3()
    assert check(greenhouse, MINTING).outcome is Outcome.COMPLIANT
    assert greenhouse.asked[:2] == ["mint", "introspect"]
    assert greenhouse.requests == 3


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
    """For any scopes, any user's role, with and without introspection, and whatever was withdrawn since.

    `granted` is what the scopes allow; `missing` is what they do not allow, or not any more.
    """
    request = CheckRequest(GEM, frozenset({"eeoc"} if eeoc else ()))
    greenhouse = FakeGreenhouseV3(
        scopes, live=scopes - withdrawn, role=role, auth_answer=None if kind is None else answered(kind)
    )
    for finding in check(greenhouse, ANYBODYS, request).findings:
        if finding.permission_id == ROLE_ID:
            assert finding.verdict is not Verdict.MISSING or role in ("Job Admin", "Basic")
            assert finding.verdict is not Verdict.GRANTED or role in (None, "Site Admin")
        elif finding.verdict is Verdict.MISSING:
            assert not (scopes - withdrawn).issuperset(finding.scopes)
        elif finding.verdict is Verdict.GRANTED and not withdrawn:
            assert scopes.issuperset(finding.scopes)


def test_a_token_whose_list_is_refused_decides_nothing() -> None:
    """Its scopes and the API disagree: since it was issued, a scope was withdrawn or the token revoked."""
    for answer in (Answer(AnswerKind.FORBIDDEN, 403), Answer(AnswerKind.UNAUTHORIZED, 401)):
        report = check(FakeGreenhouseV3(REQUIRED - {"harvest:jobs:list"}, listed=answer))
        assert {f.reason for f in report.findings if f.permission_id != ROLE_ID} == {"stale_token"}
        assert (report.outcome, report.excess, report.excess_is_whole) == (Outcome.UNDECIDED, (), False)


@pytest.mark.parametrize("kind", [AnswerKind.RATE_LIMITED, AnswerKind.SERVER_ERROR, AnswerKind.TIMEOUT])
def test_a_list_that_cannot_be_read_confirms_nothing(kind: AnswerKind) -> None:
    report = check(FakeGreenhouseV3(listed=Answer(kind)))
    assert (report.state, report.outcome) == (CredentialState.OK, Outcome.UNDECIDED)
    assert {f.reason for f in report.findings if f.verdict is Verdict.UNDECIDED} == {"unconfirmed_token"}


def test_a_page_instead_of_a_list_is_a_block() -> None:
    """Our address is not allowed: nothing is decided about the token."""
    report = check(FakeGreenhouseV3(listed=Answer(AnswerKind.UNKNOWN_REFUSAL, 403, html=True)))
    assert (report.state, report.detail, missing(report)) == (CredentialState.BLOCKED, "unknown_refusal", set())


@pytest.mark.parametrize("role", ["Job Admin", "basic", "JOB_ADMIN"])
def test_another_role_is_a_separate_finding(role: str) -> None:
    """Lists are for Site Admins: the role is missing, and scopes of refused lists are undecided."""
    report = check(FakeGreenhouseV3(role=role))
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
def test_a_role_is_recognized_in_any_spelling_and_otherwise_undecided(role: str | None, verdict: str) -> None:
    report = check(FakeGreenhouseV3(role=role, listed=Answer(AnswerKind.JSON, 200)))
    assert {f.verdict for f in report.findings if f.permission_id == ROLE_ID} == {verdict}


# What the auth server says about a client or its token, and the credential's state and detail then.
AUTH = [
    (answered(AuthKind.INVALID_CLIENT), CredentialState.INVALID, "invalid_client"),
    (answered(AuthKind.MALFORMED_CLIENT), CredentialState.MISCONFIGURED, "malformed_client"),
    (answered(AuthKind.GRANT_REFUSED), CredentialState.MISCONFIGURED, "grant_refused"),
    (answered(AuthKind.RATE_LIMITED), CredentialState.UNREACHABLE, "rate_limited"),
    (answered(AuthKind.JSON, client_id="client-9"), CredentialState.MISCONFIGURED, "foreign_client"),
    (answered(AuthKind.JSON, organization="9"), CredentialState.MISCONFIGURED, "foreign_organization"),
    (answered(AuthKind.JSON, active=False), CredentialState.UNREACHABLE, "token_inactive"),
    (answered(AuthKind.JSON, active=False, expires_at=NOW), CredentialState.UNREACHABLE, "token_stale"),
]


@pytest.mark.parametrize(("answer", "state", "detail"), AUTH)
def test_what_the_auth_server_refuses_is_a_state_and_no_missing_permission(
    answer: AuthAnswer, state: CredentialState, detail: str
) -> None:
    """Then no request goes to Harvest, and there is no verdict."""
    greenhouse = FakeGreenhouseV3(auth_answer=answer)
    report = check(greenhouse)
    assert (report.state, report.detail) == (state, detail)
    assert {finding.verdict for finding in report.findings} <= {Verdict.UNDECIDED, Verdict.NOT_CHECKABLE}
    assert greenhouse.asked == ["introspect"]


@pytest.mark.parametrize(
    ("kind", "state", "detail"),
    [
        (AuthKind.NO_SCOPES, CredentialState.INVALID, "no_scopes"),
        (AuthKind.INVALID_CLIENT, CredentialState.INVALID, "invalid_client"),
        (AuthKind.RATE_LIMITED, CredentialState.UNREACHABLE, "rate_limited"),
        (AuthKind.NO_CONNECTION, CredentialState.UNREACHABLE, "no_connection"),
        (AuthKind.UNUSABLE, CredentialState.UNREACHABLE, "no_usable_answer"),
    ],
)
def test_a_check_ends_if_no_token_is_issued(kind: AuthKind, state: CredentialState, detail: str) -> None:
    """With `token: mint`; no held token is tried instead."""
    greenhouse = FakeGreenhouseV3(minted=answered(kind))
    report = check(greenhouse, MINTING)
    assert (report.state, report.detail, greenhouse.asked) == (state, detail, ["mint"])


@pytest.mark.parametrize("minutes", [-60, -1, 0, 4])
def test_clocks_that_differ_by_five_minutes_do_not_make_an_expired_token_look_revoked(minutes: int) -> None:
    """By our clock it is valid for a few minutes more, by theirs it has expired."""
    report = check(FakeGreenhouseV3(active=False, expires_at=NOW + timedelta(minutes=minutes)))
    assert report.detail == "token_stale"
    assert check(FakeGreenhouseV3(active=False, expires_at=NOW + timedelta(minutes=6))).detail == "token_inactive"


def test_an_active_token_is_judged_whatever_its_expiry_says() -> None:
    """Only the auth server's clock counts."""
    assert check(FakeGreenhouseV3(expires_at=NOW - timedelta(minutes=5))).outcome is Outcome.COMPLIANT


def test_a_token_must_name_the_organization_if_the_tenants_file_does() -> None:
    """Otherwise there is no verdict; if the tenants file names no organization, the token need not."""
    report = check(FakeGreenhouseV3(organization=None))
    assert {f.reason for f in report.findings} == {"organization_untold"}
    assert check(FakeGreenhouseV3(organization=None), ANYBODYS).outcome is Outcome.COMPLIANT


@pytest.mark.parametrize(
    "answer", [answered(AuthKind.SERVER_ERROR), answered(AuthKind.UNUSABLE), answered(AuthKind.JSON)]
)
def test_without_introspection_lists_decide_on_reads_and_nothing_on_writes(answer: AuthAnswer) -> None:
    """Each list of the manifest's scopes is read once."""
    greenhouse = FakeGreenhouseV3(REQUIRED - {"harvest:jobs:list"}, auth_answer=answer)
    report = check(greenhouse, ANYBODYS)
    reads = {p.id for p in GEM.applying_to([]) if scope(p.scopes[0]).list}
    by_verdict = {v: {f.permission_id for f in report.findings if f.verdict is v} for v in Verdict}
    assert by_verdict[Verdict.MISSING] == {p.id for p in GEM.permissions if p.scopes == ("harvest:jobs:list",)}
    assert by_verdict[Verdict.GRANTED] == reads - by_verdict[Verdict.MISSING]
    assert by_verdict[Verdict.NOT_CHECKABLE] == {p.id for p in GEM.applying_to([])} - reads | {ROLE_ID}
    assert greenhouse.requests == 1 + len({name for name in REQUIRED if scope(name).list})
    assert not report.excess_is_whole


def test_a_token_that_names_no_scope_and_may_read_nothing_has_none() -> None:
    """Only both together are certain; a token that names none and reads a list is judged by its lists."""
    named_none = answered(AuthKind.JSON, names_none=True, organization="4242")
    report = check(FakeGreenhouseV3(frozenset(), auth_answer=named_none))
    assert (report.state, report.detail, missing(report)) == (CredentialState.INVALID, "no_scopes", set())
    assert check(FakeGreenhouseV3(REQUIRED, auth_answer=named_none)).state is CredentialState.OK


@pytest.mark.parametrize(
    ("answer", "detail"),
    [(answered(AuthKind.SERVER_ERROR), "server_error"), (answered(AuthKind.JSON), "organization_untold")],
)
def test_no_list_is_read_with_a_token_that_may_be_another_customers(answer: AuthAnswer, detail: str) -> None:
    """If the tenants file names an organization and nothing confirms it. A new token is the client's own."""
    greenhouse = FakeGreenhouseV3(auth_answer=answer)
    report = check(greenhouse)
    assert (report.state, report.detail, greenhouse.asked) == (CredentialState.UNREACHABLE, detail, ["introspect"])
    assert missing(report) == set()
    assert check(FakeGreenhouseV3(auth_answer=answer), MINTING).state is CredentialState.OK


def test_scopes_with_unknown_names_decide_nothing() -> None:
    """An undocumented spelling must not make everything missing: the lists decide."""
    names = frozenset({"openid", "jobs:list"})
    greenhouse = FakeGreenhouseV3(
        auth_answer=answered(AuthKind.JSON, scopes=names), scopes=REQUIRED - {"harvest:jobs:list"}
    )
    report = check(greenhouse, ANYBODYS)
    assert {finding.scopes for finding in report.missing} == {("harvest:jobs:list",)}
    assert greenhouse.requests > 20


def test_if_all_lists_are_refused_it_may_be_the_role() -> None:
    """If no list works, 403 does not mean a missing scope."""
    report = check(
        FakeGreenhouseV3(auth_answer=answered(AuthKind.TIMEOUT), listed=Answer(AnswerKind.FORBIDDEN, 403)), ANYBODYS
    )
    assert missing(report) == set()
    assert {f.reason for f in report.findings if f.verdict is Verdict.UNDECIDED} == {"scope_or_role"}


@pytest.mark.parametrize(
    ("kind", "state", "detail", "requests"),
    [
        (AnswerKind.UNAUTHORIZED, CredentialState.UNREACHABLE, "token_refused", 3),
        (AnswerKind.UNKNOWN_REFUSAL, CredentialState.BLOCKED, "unknown_refusal", 3),
        (AnswerKind.NO_CONNECTION, CredentialState.UNREACHABLE, "no_connection", 4),
    ],
)
def test_a_check_stops_early_if_all_lists_fail_alike(
    kind: AnswerKind, state: CredentialState, detail: str, requests: int
) -> None:
    greenhouse = FakeGreenhouseV3(auth_answer=answered(AuthKind.NO_CONNECTION), listed=Answer(kind))
    report = check(greenhouse, ANYBODYS)
    assert (report.state, report.detail, greenhouse.requests) == (state, detail, requests)


def test_a_check_that_is_stopped_from_outside_is_paused() -> None:
    """Nothing is sent, and nothing is decided."""
    greenhouse = FakeGreenhouseV3()
    report = check(greenhouse, stop=lambda: True)
    assert (report.detail, report.paused, greenhouse.asked) == (PAUSED, True, [])
    assert {finding.verdict for finding in report.findings} <= {Verdict.UNDECIDED, Verdict.NOT_CHECKABLE}


def test_a_check_past_its_deadline_sends_no_more() -> None:
    """For example after a freeze that no timer noticed."""
    moments = iter([0.0, 0.0, 61.0, 61.0])
    context = CheckContext(lambda: NOW, lambda: next(moments), 60.0, lambda: False)
    greenhouse = FakeGreenhouseV3()
    report = asyncio.run(TokenCheckRun(greenhouse, HELD, GEM_REQUEST, context).report())
    assert greenhouse.asked == ["introspect"]
    assert {f.reason for f in report.findings if f.permission_id != ROLE_ID} == {"deadline"}


def test_what_the_customer_declined_is_marked() -> None:
    """It is found missing, and is no drift."""
    declined = next(p.id for p in GEM.permissions if p.scopes == ("harvest:candidates:merge",))
    report = check(
        FakeGreenhouseV3(REQUIRED - {"harvest:candidates:merge"}),
        request=CheckRequest(GEM, declined=frozenset({declined})),
    )
    assert report.outcome is Outcome.COMPLIANT
