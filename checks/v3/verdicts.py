"""From what was learned about a token to verdicts: pure, each rule numbered and written out in docs/verdicts.md.

Introspection names the scopes, so it decides reads and writes at once; one list is read to see that the token still is
what introspection says, and each required list that is said to be missing. Without introspection the lists themselves
decide reads, and nothing decides writes.
"""

from collections.abc import Iterable

from checks.answer import FAILURE_CODES, Answer, AnswerKind
from checks.catalogue.scopes import scope
from checks.check_request import CheckRequest
from checks.credential import OAuthClient
from checks.judgement import Judgement, Rule
from checks.manifest import Permission
from checks.report import Verdict
from checks.v3.evidence import TokenEvidence
from checks.v3.gate import INTROSPECT, lists
from checks.v3.roles import acts_for_another, acts_for_site_admin

MOST_LOST_LISTS = 3
LOST_LISTS_OF_ASKED = 4
"""Without introspection: more lists than that, or a larger share than one in so many, are not lost in one go."""


class ScopeRule(Rule):
    """docs/verdicts.md carries the same table."""

    GRANTED = (
        "S1",
        Verdict.GRANTED,
        "The token carries every scope of the permission, and a list was read with it, if it may read any; if the "
        "permission was missing before, its own list, if it has one.",
    )
    MISSING = (
        "S14",
        Verdict.MISSING,
        "The token's scopes are named, one of the permission's is not among them, and its list, if it has one, "
        "is refused.",
    )
    GRANTED_LIST = ("S3", Verdict.GRANTED, "Without introspection: the scope's list is answered 200 with a JSON array.")
    MISSING_LIST = (
        "S15",
        Verdict.MISSING,
        "Without introspection: the scope's list is refused with 403, another list is read in the same check, and with "
        "this credential it was read before and few such lists are refused now, or it was missing before.",
    )
    SCOPE_OR_ROLE = (
        "S5",
        Verdict.UNDECIDED,
        "Without introspection: the scope's list is refused with 403, and S15 does not apply: the user's role or "
        "something in between may be the reason.",
    )
    DOUBTED = (
        "S6",
        Verdict.UNDECIDED,
        "What the token is said to carry could not be confirmed, contradicts itself, or belongs to another "
        "organization.",
    )
    NOT_ASKED = ("S7", Verdict.UNDECIDED, "The check ended before the request was sent, or its answer decides nothing.")
    WRITES = (
        "S8",
        Verdict.NOT_CHECKABLE,
        "Without introspection: no request that changes nothing shows whether the scope is there.",
    )
    NO_SCOPE = ("S9", Verdict.NOT_CHECKABLE, "The manifest names no scope of Harvest v3 for this permission.")
    SITE_ADMIN = ("S10", Verdict.GRANTED, "The token acts for a Site Admin, or for no user.")
    OTHER_ROLE = (
        "S18",
        Verdict.MISSING,
        "The token acts for a user with another of Greenhouse's roles, and no list gave it a row: one is refused, or "
        "four are empty.",
    )
    UNKNOWN_ROLE = ("S12", Verdict.UNDECIDED, "The token acts for a user with a role that is not known.")
    ROLE_UNTOLD = ("S13", Verdict.NOT_CHECKABLE, "Nothing says for whom the token acts.")
    ROLE_UNCONFIRMED = (
        "S19",
        Verdict.UNDECIDED,
        "The token is said to act for a user with another of Greenhouse's roles, but a list gave it a row, or too few "
        "were read.",
    )
    REFUTED = (
        "S16",
        Verdict.UNDECIDED,
        "The token's scopes are named and lack one of the permission's, but a list was read whose scope they lack.",
    )
    UNREADABLE = (
        "S17",
        Verdict.UNDECIDED,
        "The token's scopes are named in a way that is not wholly understood, and no list decides.",
    )
    UNKNOWN_SCOPE = (
        "S20",
        Verdict.UNDECIDED,
        "The token's scopes are named and lack that of a write, but one of them is not known and may stand for it.",
    )


ROLE_ID = "role.site_admin"
"""The id of the finding on the role of the token's user, beside the manifest's permissions."""

EMPTY_LISTS_OF_ANOTHER_ROLE = 4
"""Other users may be given empty lists instead of refusals; one or two are empty at some customers for Site Admins."""


def doubt(seen: TokenEvidence, client: OAuthClient) -> str | None:
    """Why introspection is not to be believed, if it is not: a key of reasons.REASONS."""
    if seen.contradicted:
        return "contradicted"
    if seen.may_be_foreign(client):
        return "organization_untold"
    # Before `stale_token`: without the role, lists are refused to the newest token as well.
    kinds = {answer.kind for answer in seen.confirming.values()}
    if AnswerKind.FORBIDDEN in kinds and judge_role(seen, None).rule is ScopeRule.OTHER_ROLE:
        return "other_role"
    if AnswerKind.FORBIDDEN in kinds or seen.some(AnswerKind.UNAUTHORIZED):
        return "stale_token"
    if kinds and AnswerKind.JSON not in kinds:
        return "unconfirmed_token"
    return seen.cut_short


def judge(permission: Permission, seen: TokenEvidence, doubted: str | None, request: CheckRequest) -> Judgement:
    if not permission.scopes:
        return Judgement(ScopeRule.NO_SCOPE, "no_scope")
    if seen.scopes is None:
        return _first(_by_list(name, permission.id, seen, request) for name in permission.scopes)
    if doubted is not None:
        return Judgement(ScopeRule.DOUBTED, doubted, evidence=_introspection_and(seen.confirming))
    absent = [name for name in permission.scopes if name not in seen.scopes]
    if not absent:
        returned = permission.id in request.missing_before
        return _returned(permission, seen) if returned else _carried("scope_carried", seen.confirming)
    if seen.absence_refuted:
        return Judgement(ScopeRule.REFUTED, "contradicted", evidence=_introspection_and(seen.refuting))
    return _first(_absent(name, seen) for name in absent)


def _introspection_and(names: Iterable[str]) -> tuple[str, ...]:
    """The endpoints of introspection and of the lists of these scopes."""
    return (INTROSPECT.endpoint, *(lists()[name].endpoint for name in names))


def _carried(reason: str, read: Iterable[str]) -> Judgement:
    """`read` are the scopes of the lists that were read beside what introspection says."""
    return Judgement(ScopeRule.GRANTED, reason, evidence=_introspection_and(read))


def _returned(permission: Permission, seen: TokenEvidence) -> Judgement:
    """What lists show at once; what only introspection says (`scope_carried`), drift believes when it is said twice."""
    listed = [name for name in permission.scopes if scope(name).proves]
    for name in listed:
        answer = seen.answers.get(name)
        if answer is None or answer.kind is not AnswerKind.JSON:
            return _unread(name, answer, seen)
    if len(listed) < len(permission.scopes):
        return _carried("scope_carried", listed or seen.confirming)
    return Judgement(ScopeRule.GRANTED, "data", seen.answers[listed[0]].status, _introspection_and(listed))


def _unread(name: str, answer: Answer | None, seen: TokenEvidence) -> Judgement:
    """The scope's list was not asked for, or its answer decides nothing."""
    if answer is None:
        return Judgement(ScopeRule.NOT_ASKED, seen.cut_short or "unreachable")
    reason = FAILURE_CODES.get(answer.kind, "unexpected_answer")
    return Judgement(ScopeRule.NOT_ASKED, reason, answer.status, (lists()[name].endpoint,))


def _absent(name: str, seen: TokenEvidence) -> Judgement:
    """Its list is asked for; nothing that changes nothing could be asked about a write."""
    if scope(name).list is None:
        rule, reason = (
            (ScopeRule.UNKNOWN_SCOPE, "unknown_scope")
            if seen.unknown_writes_carried
            else (ScopeRule.MISSING, "scope_not_carried")
        )
        return Judgement(rule, reason, evidence=_introspection_and(()))
    answer = seen.answers.get(name)
    if answer is None or answer.kind is not AnswerKind.FORBIDDEN:
        return _unread(name, answer, seen)
    return Judgement(ScopeRule.MISSING, "scope_not_carried", answer.status, _introspection_and([name]))


def _first(judgements: Iterable[Judgement]) -> Judgement:
    """Of several scopes the one that decides: a missing one, then one that is undecided."""
    order = [Verdict.MISSING, Verdict.UNDECIDED, Verdict.NOT_CHECKABLE, Verdict.GRANTED]
    return min(judgements, key=lambda one: order.index(one.verdict))


def _by_list(name: str, permission_id: str, seen: TokenEvidence, request: CheckRequest) -> Judgement:
    answer = seen.answers.get(name)
    if scope(name).list is None:
        if seen.scopes_unreadable:
            return Judgement(ScopeRule.UNREADABLE, "scopes_unreadable", evidence=_introspection_and(()))
        return Judgement(ScopeRule.WRITES, "introspection_needed")
    # Also an empty array: Greenhouse leaves out of a 200 what the user may not see (v3 OpenAPI, `bearer`).
    if answer is not None and answer.kind is AnswerKind.JSON:
        return Judgement(ScopeRule.GRANTED_LIST, "data", answer.status, (lists()[name].endpoint,))
    if answer is not None and answer.kind is AnswerKind.FORBIDDEN:
        return _refused_list(name, permission_id, seen, request)
    return _unread(name, answer, seen)


def _refused_list(name: str, permission_id: str, seen: TokenEvidence, request: CheckRequest) -> Judgement:
    """Nothing but its status is known of a refusal, so it must be one of few, and news."""
    rule, reason = _meaning_of_refusal(name, permission_id, seen, request)
    own = lists()[name].endpoint
    read = [lists()[other].endpoint for other, answer in seen.answers.items() if answer.kind is AnswerKind.JSON]
    return Judgement(rule, reason, seen.answers[name].status, (own, *read))


def _meaning_of_refusal(
    name: str, permission_id: str, seen: TokenEvidence, request: CheckRequest
) -> tuple[ScopeRule, str]:
    if not (scope(name).proves and seen.some(AnswerKind.JSON)):
        return ScopeRule.SCOPE_OR_ROLE, "scope_or_role"
    if seen.counts_requests and not seen.answers[name].counted:
        return ScopeRule.SCOPE_OR_ROLE, "uncounted_refusal"
    if permission_id in request.missing_before:
        return ScopeRule.MISSING_LIST, "list_refused"
    if permission_id not in request.granted_before:
        return ScopeRule.SCOPE_OR_ROLE, "list_never_read"
    lost = len(lost_lists(seen, request))
    if lost > MOST_LOST_LISTS or lost * LOST_LISTS_OF_ASKED >= len(seen.answers):
        return ScopeRule.SCOPE_OR_ROLE, "many_lists_refused"
    return ScopeRule.MISSING_LIST, "list_refused"


def lost_lists(seen: TokenEvidence, request: CheckRequest) -> set[str]:
    """By their scopes: refused now, and read with this credential before."""
    before = scopes_of(request.granted_before, request)
    return {name for name, answer in seen.answers.items() if answer.kind is AnswerKind.FORBIDDEN and name in before}


def scopes_of(permission_ids: frozenset[str], request: CheckRequest) -> list[str]:
    """Each once, in the order of the manifest."""
    chosen = [p for p in request.manifest.permissions if p.id in permission_ids]
    return list(dict.fromkeys(name for permission in chosen for name in permission.scopes))


def judge_role(seen: TokenEvidence, doubted: str | None) -> Judgement:
    """Lists are for Site Admins (Greenhouse, "Authentication"); how introspection spells that is not documented."""
    rule, reason = _role(seen, doubted)
    introspected = seen.introspection is not None
    return Judgement(rule, reason, evidence=_introspection_and(_about_role(rule, seen)) if introspected else ())


def _role(seen: TokenEvidence, doubted: str | None) -> tuple[ScopeRule, str]:
    introspection = seen.introspection
    if seen.scopes_unreadable:
        return ScopeRule.UNREADABLE, "scopes_unreadable"
    if introspection is None or not introspection.role_stated:
        return ScopeRule.ROLE_UNTOLD, "role_untold"
    # A refused list is just what another role leads to, so these two doubts leave the role as it was told.
    if doubted not in (None, "stale_token", "other_role"):
        return ScopeRule.DOUBTED, doubted or ""
    if acts_for_site_admin(introspection):
        return ScopeRule.SITE_ADMIN, "site_admin"
    return _another_role(seen) if acts_for_another(introspection) else (ScopeRule.UNKNOWN_ROLE, "unknown_role")


def _another_role(seen: TokenEvidence) -> tuple[ScopeRule, str]:
    """How a service user's role is spelled is not documented; what lists give is."""
    if seen.rows_served:
        return ScopeRule.ROLE_UNCONFIRMED, "contradicted"
    empty = sum(answer.empty for answer in seen.answers.values())
    if seen.some(AnswerKind.FORBIDDEN) or empty >= EMPTY_LISTS_OF_ANOTHER_ROLE:
        return ScopeRule.OTHER_ROLE, "other_role"
    return ScopeRule.ROLE_UNCONFIRMED, "unconfirmed_role"


def _about_role(rule: ScopeRule, seen: TokenEvidence) -> Iterable[str]:
    """The scopes of the lists that the judgement on the role rests on."""
    match rule:
        case ScopeRule.OTHER_ROLE | ScopeRule.ROLE_UNCONFIRMED:
            return seen.answers
        case ScopeRule.DOUBTED:
            return seen.confirming
    return ()
