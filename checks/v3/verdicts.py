"""From what was learned about a token to verdicts: pure, each rule numbered and written out in docs/verdicts.md.

Introspection names the scopes, so it decides reads and writes at once; one list is read to see that the token still is
what introspection says. Without introspection the lists themselves decide reads, and nothing decides writes.
"""

from collections.abc import Iterable

from checks.answer import FAILURE_CODES, AnswerKind
from checks.catalogue.scopes import scope
from checks.credential import OAuthClient
from checks.judgement import Judgement, Rule
from checks.manifest import Permission
from checks.report import Verdict
from checks.v3.evidence import TokenEvidence


class ScopeRule(Rule):
    """docs/verdicts.md carries the same table."""

    GRANTED = (
        "S1",
        Verdict.GRANTED,
        "The token carries every scope of the permission, and a list was read with it, if it may read any.",
    )
    MISSING = ("S2", Verdict.MISSING, "The token's scopes are named, and one of the permission's is not among them.")
    GRANTED_LIST = ("S3", Verdict.GRANTED, "Without introspection: the scope's list is answered 200 with a JSON array.")
    MISSING_LIST = (
        "S4",
        Verdict.MISSING,
        "Without introspection: the scope's list is refused with 403, and another list was read with the same token.",
    )
    SCOPE_OR_ROLE = (
        "S5",
        Verdict.UNDECIDED,
        "Without introspection: every list that was asked for is refused, so the user's role may be the reason.",
    )
    DOUBTED = (
        "S6",
        Verdict.UNDECIDED,
        "What the token is said to carry could not be confirmed, or belongs to another organization.",
    )
    NOT_ASKED = ("S7", Verdict.UNDECIDED, "The check ended before the request was sent, or its answer decides nothing.")
    WRITES = (
        "S8",
        Verdict.NOT_CHECKABLE,
        "Without introspection: no request that changes nothing shows whether the scope is there.",
    )
    NO_SCOPE = ("S9", Verdict.NOT_CHECKABLE, "The manifest names no scope of Harvest v3 for this permission.")
    SITE_ADMIN = ("S10", Verdict.GRANTED, "The token acts for a Site Admin, or for no user.")
    OTHER_ROLE = ("S11", Verdict.MISSING, "The token acts for a user with another of Greenhouse's roles.")
    UNKNOWN_ROLE = ("S12", Verdict.UNDECIDED, "The token acts for a user with a role that is not known.")
    ROLE_UNTOLD = ("S13", Verdict.NOT_CHECKABLE, "Nothing says for whom the token acts.")


ROLE_ID = "role.site_admin"
"""The id of the finding on the role of the token's user, beside the manifest's permissions."""

# Greenhouse's user types, folded: how introspection spells them is not documented.
_OTHER_ROLES = frozenset({"basic", "jobadmin", "interviewer"})
_SITE_ADMIN = "siteadmin"


def doubt(seen: TokenEvidence, client: OAuthClient) -> str | None:
    """Why introspection is not to be believed, if it is not: a key of reasons.REASONS."""
    if seen.may_be_foreign(client):
        return "organization_untold"
    # Before `stale_token`: without the role, lists are refused to the newest token as well.
    if seen.some(AnswerKind.FORBIDDEN) and judge_role(seen, None).rule is ScopeRule.OTHER_ROLE:
        return "other_role"
    if seen.some(AnswerKind.UNAUTHORIZED, AnswerKind.FORBIDDEN):
        return "stale_token"
    if seen.answers and not seen.some(AnswerKind.JSON):
        return "unconfirmed_token"
    return seen.cut_short


def judge(permission: Permission, seen: TokenEvidence, doubted: str | None) -> Judgement:
    if not permission.scopes:
        return Judgement(ScopeRule.NO_SCOPE, "no_scope")
    if seen.scopes is None:
        return _first(_by_list(name, seen) for name in permission.scopes)
    if doubted is not None:
        return Judgement(ScopeRule.DOUBTED, doubted)
    if seen.scopes.issuperset(permission.scopes):
        return Judgement(ScopeRule.GRANTED, "scope_carried")
    return Judgement(ScopeRule.MISSING, "scope_not_carried")


def _first(judgements: Iterable[Judgement]) -> Judgement:
    """Of several scopes the one that decides: a missing one, then one that is undecided."""
    order = [Verdict.MISSING, Verdict.UNDECIDED, Verdict.NOT_CHECKABLE, Verdict.GRANTED]
    return min(judgements, key=lambda one: order.index(one.verdict))


def _by_list(name: str, seen: TokenEvidence) -> Judgement:
    answer = seen.answers.get(name)
    if scope(name).list is None:
        return Judgement(ScopeRule.WRITES, "introspection_needed")
    if answer is None:
        return Judgement(ScopeRule.NOT_ASKED, seen.cut_short or "unreachable")
    match answer.kind:
        # Also an empty array: Greenhouse leaves out of a 200 what the user may not see (v3 OpenAPI, `bearer`).
        case AnswerKind.JSON:
            return Judgement(ScopeRule.GRANTED_LIST, "data")
        case AnswerKind.FORBIDDEN if scope(name).proves and seen.some(AnswerKind.JSON):
            return Judgement(ScopeRule.MISSING_LIST, "list_refused")
        case AnswerKind.FORBIDDEN:
            return Judgement(ScopeRule.SCOPE_OR_ROLE, "scope_or_role")
    return Judgement(ScopeRule.NOT_ASKED, FAILURE_CODES.get(answer.kind, "unexpected_answer"))


def judge_role(seen: TokenEvidence, doubted: str | None) -> Judgement:
    """Lists are for Site Admins (Greenhouse, "Authentication"); how introspection spells that is not documented."""
    introspection = seen.introspection
    if introspection is None or seen.scopes is None or not introspection.role_stated:
        return Judgement(ScopeRule.ROLE_UNTOLD, "role_untold")
    # A refused list is just what another role leads to, so these two doubts leave the role as it was told.
    if doubted not in (None, "stale_token", "other_role"):
        return Judgement(ScopeRule.DOUBTED, doubted or "")
    role = None if introspection.role is None else _folded(introspection.role)
    if role in (None, _SITE_ADMIN):
        return Judgement(ScopeRule.SITE_ADMIN, "site_admin")
    if role in _OTHER_ROLES:
        return Judgement(ScopeRule.OTHER_ROLE, "other_role")
    return Judgement(ScopeRule.UNKNOWN_ROLE, "unknown_role")


def _folded(role: str) -> str:
    return "".join(character for character in role.casefold() if character.isalnum())
