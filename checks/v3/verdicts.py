"""From what was learned of a token to state and verdicts: pure, each rule numbered and written out in docs/verdicts.md.

Introspection names the scopes, so it decides on reads and writes at once, with one list read as a sign that the token
still is what it says. Where it can not be had, the lists themselves decide on reads, and nothing does on writes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from checks.answer import Answer, AnswerKind
from checks.catalogue.scopes import known, scope
from checks.credential import CredentialState, OAuthClient
from checks.manifest import Permission
from checks.report import Verdict
from checks.v3.token_answers import CLOCKS_DIFFER, AuthAnswer, AuthKind, Introspection, expiry_of


class ScopeRule(Enum):
    """Number, verdict and the rule in one sentence; docs/verdicts.md carries the same table."""

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
        "Without introspection: every list that was asked for is refused, so the user's role may be what lacks.",
    )
    DOUBTED = ("S6", Verdict.UNDECIDED, "What the token is said to carry could not be confirmed, or not be its own.")
    NOT_ASKED = ("S7", Verdict.UNDECIDED, "The check ended before the question was put, or its answer decides nothing.")
    WRITES = ("S8", Verdict.NOT_CHECKABLE, "Without introspection: no request that changes nothing tells of the scope.")
    NO_SCOPE = ("S9", Verdict.NOT_CHECKABLE, "The manifest names no scope of Harvest v3 for this permission.")
    SITE_ADMIN = ("S10", Verdict.GRANTED, "The token acts for a Site Admin, or for no user.")
    OTHER_ROLE = ("S11", Verdict.MISSING, "The token acts for a user with another of Greenhouse's roles.")
    UNKNOWN_ROLE = ("S12", Verdict.UNDECIDED, "The token acts for a user with a role that is not known.")
    ROLE_UNTOLD = ("S13", Verdict.NOT_CHECKABLE, "Nothing tells for whom the token acts.")

    def __init__(self, number: str, verdict: Verdict, sentence: str) -> None:
        self.number = number
        self.verdict = verdict
        self.sentence = sentence


_FROM_AUTH: Mapping[AuthKind, tuple[CredentialState, str]] = {
    AuthKind.INVALID_CLIENT: (CredentialState.INVALID, "invalid_client"),
    AuthKind.MALFORMED_CLIENT: (CredentialState.MISCONFIGURED, "malformed_client"),
    AuthKind.NO_SCOPES: (CredentialState.INVALID, "no_scopes"),
    AuthKind.GRANT_REFUSED: (CredentialState.MISCONFIGURED, "grant_refused"),
    AuthKind.RATE_LIMITED: (CredentialState.UNREACHABLE, "rate_limited"),
    AuthKind.SERVER_ERROR: (CredentialState.UNREACHABLE, "server_error"),
    AuthKind.BLOCKED: (CredentialState.BLOCKED, "unknown_refusal"),
    AuthKind.UNUSABLE: (CredentialState.UNREACHABLE, "no_usable_answer"),
    AuthKind.TIMEOUT: (CredentialState.UNREACHABLE, "timeout"),
    AuthKind.NO_CONNECTION: (CredentialState.UNREACHABLE, "no_connection"),
}
WITHOUT_INTROSPECTION = frozenset(
    {AuthKind.SERVER_ERROR, AuthKind.BLOCKED, AuthKind.UNUSABLE, AuthKind.TIMEOUT, AuthKind.NO_CONNECTION}
)
"""Answers to an introspection after which lists are asked instead."""

_PLAIN_FAILURES = {
    AnswerKind.SERVER_ERROR: "server_error",
    AnswerKind.TIMEOUT: "timeout",
    AnswerKind.NO_CONNECTION: "no_connection",
    AnswerKind.RATE_LIMITED: "rate_limited",
}
ROLE_ID = "role.site_admin"
"""The id of the finding on the role of the token's user, beside the manifest's permissions."""

_OTHER_ROLES = frozenset({"basic", "jobadmin", "interviewer"})
_SITE_ADMIN = "siteadmin"


@dataclass(frozen=True, slots=True)
class ScopeJudgement:
    """By which rule, and for which of verdict.REASONS."""

    rule: ScopeRule
    reason: str

    @property
    def verdict(self) -> Verdict:
        return self.rule.verdict


@dataclass(frozen=True, slots=True)
class TokenEvidence:
    """All that one check learned. `minted` and `told` are None where nothing was asked; `answers` are lists by scope.

    `cut_short` says why the check ended early, if it did.
    """

    minted: AuthAnswer | None = None
    told: AuthAnswer | None = None
    answers: Mapping[str, Answer] = field(default_factory=dict)
    cut_short: str | None = None

    @property
    def introspection(self) -> Introspection | None:
        return self.told.introspection if self.told else None

    @property
    def scopes(self) -> frozenset[str] | None:
        """What the token carries, where introspection tells by Greenhouse's names; words of its own tell nothing."""
        told = self.introspection.scopes if self.introspection else None
        return told if told and not told.isdisjoint(known()) else None

    def some(self, *kinds: AnswerKind) -> bool:
        return any(answer.kind in kinds for answer in self.answers.values())


def state_of(seen: TokenEvidence, client: OAuthClient, now: datetime) -> tuple[CredentialState, str]:
    """State and detail code of the credential as a whole."""
    if found := settled_by_auth(seen, client, now):
        return found
    return _of_lists(seen, seen.told) if seen.told else (CredentialState.UNREACHABLE, "deadline")


def settled_by_auth(seen: TokenEvidence, client: OAuthClient, now: datetime) -> tuple[CredentialState, str] | None:
    """State and detail where the auth server has said enough, so that no list is to be read with this token."""
    if seen.minted is not None and seen.minted.token is None:
        return _FROM_AUTH[seen.minted.kind]
    if seen.told is None:
        return None
    if seen.introspection is not None and (found := _of_introspection(seen.introspection, client, now)):
        return found
    if seen.introspection is None and (seen.told.kind not in WITHOUT_INTROSPECTION or _may_be_foreign(seen, client)):
        return _FROM_AUTH[seen.told.kind]
    if seen.scopes is None and _may_be_foreign(seen, client):
        return CredentialState.UNREACHABLE, "organization_untold"
    return None


def _may_be_foreign(seen: TokenEvidence, client: OAuthClient) -> bool:
    """Nothing has confirmed that a token that was handed to us is this customer's, and somebody asked for that."""
    told = seen.introspection.organization if seen.introspection else None
    return client.needs_introspection and told is None


def _of_introspection(told: Introspection, client: OAuthClient, now: datetime) -> tuple[CredentialState, str] | None:
    if told.client_id not in (None, client.client_id.reveal()):
        return CredentialState.MISCONFIGURED, "foreign_client"
    if client.organization and told.organization not in (None, client.organization):
        return CredentialState.MISCONFIGURED, "foreign_organization"
    if told.active:
        return None
    return _inactive(told, client, now)


def _inactive(told: Introspection, client: OAuthClient, now: datetime) -> tuple[CredentialState, str]:
    """That a held token has run out says nothing of the credential; that it was revoked, perhaps nothing either."""
    expires_at = told.expires_at or (expiry_of(client.token) if client.token else None)
    expired = expires_at is not None and expires_at <= now + CLOCKS_DIFFER
    return CredentialState.UNREACHABLE, "token_stale" if expired else "token_inactive"


def _of_lists(seen: TokenEvidence, told: AuthAnswer) -> tuple[CredentialState, str]:
    if seen.some(AnswerKind.UNKNOWN_REFUSAL) and not seen.some(AnswerKind.JSON, AnswerKind.FORBIDDEN):
        return CredentialState.BLOCKED, "unknown_refusal"
    if told.introspection and told.introspection.names_none and _only_refused(seen):
        return CredentialState.INVALID, "no_scopes"
    if seen.scopes is not None or seen.some(AnswerKind.JSON, AnswerKind.FORBIDDEN):
        return CredentialState.OK, ""
    if seen.some(AnswerKind.UNAUTHORIZED):
        return CredentialState.UNREACHABLE, "token_refused"
    codes = {_PLAIN_FAILURES.get(answer.kind, "no_usable_answer") for answer in seen.answers.values()}
    if told.kind in WITHOUT_INTROSPECTION and not codes:
        return CredentialState.UNREACHABLE, _FROM_AUTH[told.kind][1]
    return CredentialState.UNREACHABLE, codes.pop() if len(codes) == 1 else "no_usable_answer"


def _only_refused(seen: TokenEvidence) -> bool:
    """Every list that was answered by the API is refused, and some were."""
    return seen.some(AnswerKind.FORBIDDEN) and not seen.some(AnswerKind.JSON)


def doubt(seen: TokenEvidence, client: OAuthClient) -> str | None:
    """Why what introspection says is not to be taken at its word, if it is not: a key of verdict.REASONS."""
    if _may_be_foreign(seen, client):
        return "organization_untold"
    if seen.some(AnswerKind.FORBIDDEN) and judge_role(seen, None).rule is ScopeRule.OTHER_ROLE:
        return "other_role"
    if seen.some(AnswerKind.UNAUTHORIZED, AnswerKind.FORBIDDEN):
        return "stale_token"
    if seen.answers and not seen.some(AnswerKind.JSON):
        return "unconfirmed_token"
    return seen.cut_short


def judge(permission: Permission, seen: TokenEvidence, doubted: str | None) -> ScopeJudgement:
    if not permission.scopes:
        return ScopeJudgement(ScopeRule.NO_SCOPE, "no_scope")
    if seen.scopes is None:
        return _first(_by_list(name, seen) for name in permission.scopes)
    if doubted is not None:
        return ScopeJudgement(ScopeRule.DOUBTED, doubted)
    if seen.scopes.issuperset(permission.scopes):
        return ScopeJudgement(ScopeRule.GRANTED, "scope_carried")
    return ScopeJudgement(ScopeRule.MISSING, "scope_not_carried")


def _first(judgements: Iterable[ScopeJudgement]) -> ScopeJudgement:
    """Of several scopes the one that decides: one that is missing, then one that can not be told."""
    order = [Verdict.MISSING, Verdict.UNDECIDED, Verdict.NOT_CHECKABLE, Verdict.GRANTED]
    return min(judgements, key=lambda one: order.index(one.verdict))


def _by_list(name: str, seen: TokenEvidence) -> ScopeJudgement:
    answer = seen.answers.get(name)
    if scope(name).list is None:
        return ScopeJudgement(ScopeRule.WRITES, "introspection_needed")
    if answer is None:
        return ScopeJudgement(ScopeRule.NOT_ASKED, seen.cut_short or "unreachable")
    match answer.kind:
        case AnswerKind.JSON:
            return ScopeJudgement(ScopeRule.GRANTED_LIST, "data")
        case AnswerKind.FORBIDDEN if scope(name).proves and seen.some(AnswerKind.JSON):
            return ScopeJudgement(ScopeRule.MISSING_LIST, "list_refused")
        case AnswerKind.FORBIDDEN:
            return ScopeJudgement(ScopeRule.SCOPE_OR_ROLE, "scope_or_role")
    return ScopeJudgement(ScopeRule.NOT_ASKED, _PLAIN_FAILURES.get(answer.kind, "unexpected_answer"))


def judge_role(seen: TokenEvidence, doubted: str | None) -> ScopeJudgement:
    """Lists are for Site Admins (Greenhouse, "Authentication"); how introspection spells that is not on record."""
    told = seen.introspection
    if told is None or seen.scopes is None or not told.role_told:
        return ScopeJudgement(ScopeRule.ROLE_UNTOLD, "role_untold")
    if doubted not in (None, "stale_token", "other_role"):
        return ScopeJudgement(ScopeRule.DOUBTED, doubted or "")
    role = None if told.role is None else "".join(c for c in told.role.casefold() if c.isalnum())
    if role in (None, _SITE_ADMIN):
        return ScopeJudgement(ScopeRule.SITE_ADMIN, "site_admin")
    if role in _OTHER_ROLES:
        return ScopeJudgement(ScopeRule.OTHER_ROLE, "other_role")
    return ScopeJudgement(ScopeRule.UNKNOWN_ROLE, "unknown_role")
