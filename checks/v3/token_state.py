"""The state of a v3 credential as a whole, from all that one check learned: pure."""

from collections.abc import Mapping
from datetime import datetime

from checks.answer import AnswerKind, failure_code
from checks.check_request import CheckRequest
from checks.credential import CredentialState, OAuthClient
from checks.v3.evidence import TokenEvidence
from checks.v3.roles import acts_for_site_admin
from checks.v3.stored_client import is_another_client
from checks.v3.token_answers import CLOCKS_DIFFER, AuthAnswer, AuthKind, Introspection, expiry_of

_FROM_AUTH: Mapping[AuthKind, tuple[CredentialState, str]] = {
    AuthKind.INVALID_CLIENT: (CredentialState.INVALID, "invalid_client"),
    AuthKind.MALFORMED_CLIENT: (CredentialState.MISCONFIGURED, "malformed_client"),
    AuthKind.NO_SCOPES: (CredentialState.INVALID, "no_scopes"),
    AuthKind.GRANT_REFUSED: (CredentialState.MISCONFIGURED, "grant_refused"),
    AuthKind.RATE_LIMITED: (CredentialState.UNREACHABLE, "rate_limited"),
    AuthKind.SERVER_ERROR: (CredentialState.UNREACHABLE, "server_error"),
    # Not `blocked`: of the API nothing is known then.
    AuthKind.BLOCKED: (CredentialState.UNREACHABLE, "auth_server_refused"),
    AuthKind.UNUSABLE: (CredentialState.UNREACHABLE, "no_usable_answer"),
    AuthKind.TIMEOUT: (CredentialState.UNREACHABLE, "timeout"),
    AuthKind.NO_CONNECTION: (CredentialState.UNREACHABLE, "no_connection"),
}
# Not RATE_LIMITED: introspection works, and the next check asks again.
WITHOUT_INTROSPECTION = frozenset(
    {AuthKind.SERVER_ERROR, AuthKind.BLOCKED, AuthKind.UNUSABLE, AuthKind.TIMEOUT, AuthKind.NO_CONNECTION}
)
"""Answers to an introspection after which lists are asked instead."""
AGAINST_CLIENT = frozenset(
    {AuthKind.INVALID_CLIENT, AuthKind.MALFORMED_CLIENT, AuthKind.NO_SCOPES, AuthKind.GRANT_REFUSED}
)
"""Answers that speak against the credential as a whole."""
_NOTHING_WORKS = frozenset({AuthKind.INVALID_CLIENT, AuthKind.NO_SCOPES})
"""Of these those by which nobody could do anything with the credential."""


def state_of(
    seen: TokenEvidence, client: OAuthClient, request: CheckRequest, now: datetime
) -> tuple[CredentialState, str]:
    """State and detail code of the credential as a whole."""
    if held_token_decides(seen):
        return _of_refused_client(seen)
    if found := settled_by_auth(seen, client, now):
        return found
    if not seen.answers:
        return _without_lists(seen)
    return _of_lists(seen, request)


def held_token_decides(seen: TokenEvidence) -> bool:
    """The auth server refuses the client of a held token: only a list shows whether the integration still works.

    It has a secret of its own, and ours may be an old copy of it.
    """
    return seen.minted is None and seen.introspected is not None and seen.introspected.kind in _NOTHING_WORKS


def _of_refused_client(seen: TokenEvidence) -> tuple[CredentialState, str]:
    assert seen.introspected is not None
    has_no_scopes = seen.introspected.kind is AuthKind.NO_SCOPES
    if seen.some(AnswerKind.JSON):
        if has_no_scopes:
            return CredentialState.UNREACHABLE, "contradicted"
        return CredentialState.MISCONFIGURED, "secret_refused"
    refused_alike = seen.some(AnswerKind.UNAUTHORIZED) and not seen.some(AnswerKind.FORBIDDEN)
    if refused_alike or (has_no_scopes and seen.some(AnswerKind.FORBIDDEN)):
        return _of_auth(seen.introspected)
    return CredentialState.UNREACHABLE, "unconfirmed_client"


def settled_by_auth(seen: TokenEvidence, client: OAuthClient, now: datetime) -> tuple[CredentialState, str] | None:
    """State and detail where the auth server has said enough: no list is to be read with this token."""
    if seen.minted is not None and seen.minted.token is None:
        return _of_auth(seen.minted)
    if seen.introspected is None:
        return None
    if seen.minted is not None and _denies_the_client(seen.introspected, client):
        return CredentialState.UNREACHABLE, "contradicted"
    if seen.introspection is not None and (found := _of_introspection(seen.introspection, client, now)):
        return found
    if seen.introspection is None and (
        seen.introspected.kind not in WITHOUT_INTROSPECTION or seen.may_be_foreign(client)
    ):
        return _of_auth(seen.introspected)
    # Lists would have to decide now, and a list does not say whose it is.
    if seen.scopes is None and seen.may_be_foreign(client):
        return CredentialState.UNREACHABLE, "organization_untold"
    return None


def _of_auth(answer: AuthAnswer) -> tuple[CredentialState, str]:
    state, detail = _FROM_AUTH[answer.kind]
    return state, answer.failure.code.value if answer.failure else detail


def is_to_be_asked_again(introspected: AuthAnswer, client: OAuthClient) -> bool:
    """It speaks against the client as a whole, or of another's token: one false or mixed-up answer must not end it."""
    told = introspected.introspection
    return introspected.kind in AGAINST_CLIENT or (told is not None and _foreign(told, client) is not None)


def _denies_the_client(introspected: AuthAnswer, client: OAuthClient) -> bool:
    """Said about a client that was given a token in the same check."""
    told = introspected.introspection
    foreign = told is not None and _foreign(told, client) == "foreign_client"
    return introspected.kind in AGAINST_CLIENT or foreign


def _foreign(told: Introspection, client: OAuthClient) -> str | None:
    """The detail code, where the token is said to belong to somebody else."""
    if told.client_id is not None and is_another_client(told.client_id, client.client_id.reveal()):
        return "foreign_client"
    if client.organization and told.organization not in (None, str(int(client.organization))):
        return "foreign_organization"
    return None


def _of_introspection(
    introspection: Introspection, client: OAuthClient, now: datetime
) -> tuple[CredentialState, str] | None:
    if introspection.active and introspection.contradicts_itself(now):
        return None
    if foreign := _foreign(introspection, client):
        return CredentialState.MISCONFIGURED, foreign
    # Whatever the expiry says: the clock that counts is the auth server's.
    if introspection.active:
        return None
    return _inactive(introspection, client, now)


def _inactive(introspection: Introspection, client: OAuthClient, now: datetime) -> tuple[CredentialState, str]:
    """An expired held token says nothing about the credential; a revoked one may say nothing either."""
    expires_at = introspection.expires_at or (expiry_of(client.token) if client.token else None)
    expired = expires_at is not None and expires_at <= now + CLOCKS_DIFFER
    return CredentialState.UNREACHABLE, "token_stale" if expired else "token_inactive"


def _without_lists(seen: TokenEvidence) -> tuple[CredentialState, str]:
    """Introspection alone never shows that a credential works."""
    if seen.introspected is not None and seen.introspected.kind in WITHOUT_INTROSPECTION:
        return CredentialState.UNREACHABLE, _of_auth(seen.introspected)[1]
    return CredentialState.UNREACHABLE, "deadline"


def _of_lists(seen: TokenEvidence, request: CheckRequest) -> tuple[CredentialState, str]:
    if seen.some(AnswerKind.UNKNOWN_REFUSAL) and not seen.some(AnswerKind.JSON, AnswerKind.FORBIDDEN):
        return CredentialState.BLOCKED, "unknown_refusal"
    # Both together: a token that names no scope and still reads a list is judged by its lists.
    if _has_no_scopes(seen, request):
        return CredentialState.INVALID, "no_scopes"
    if seen.some(AnswerKind.JSON) or (seen.introspection and seen.some(AnswerKind.FORBIDDEN)):
        return CredentialState.OK, ""
    if seen.some(AnswerKind.FORBIDDEN):
        return CredentialState.UNREACHABLE, "every_list_refused"
    if seen.some(AnswerKind.UNAUTHORIZED):
        return CredentialState.UNREACHABLE, "token_refused"
    return CredentialState.UNREACHABLE, failure_code(seen.answers.values())


def _has_no_scopes(seen: TokenEvidence, request: CheckRequest) -> bool:
    """Introspection names none, the API refuses every list that it answers, and nothing else explains either.

    A client without scopes is given no token: one that was given one in this check has some. To a user who is not a
    Site Admin every list is refused. And where lists were read while no scope was named, none ever is.
    """
    told = seen.introspection
    if told is None or not told.names_none or seen.minted is not None or seen.contradicted:
        return False
    refused = seen.some(AnswerKind.FORBIDDEN) and not seen.some(AnswerKind.JSON)
    return refused and acts_for_site_admin(told) and not request.granted_by_list
