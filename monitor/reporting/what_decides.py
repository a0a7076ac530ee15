"""What would decide a permission that is undecided, by the reason for which it is. Pure."""

from collections.abc import Mapping

_AGAIN = "the next check, which asks again"
_OPERATOR = "an operator, who finds out what happened (`harvest-monitor writes status`) and lifts the halt"
_TOKEN = "a newer token from what supplies it"  # noqa: S105
_IN_BETWEEN = "an answer of Greenhouse's own: look for a proxy or a firewall between us, and at the list of addresses"
_INTROSPECTION = "an answer of the auth server about the token: see why introspection fails"

_DECIDES: Mapping[str, str] = {
    "no_positive_control": "one list that the credential may read, or one refusal in Greenhouse's own words",
    "no_refusal": "a refusal: ask the customer to untick a permission that the manifest does not name",
    "mixed_controls": "controls that agree: the next check asks again; if they never do, please report it",
    "unexpected_answer": "an answer that is known: the next check asks again; if none comes, please report it",
    "unknown_refusal": "the credential's list of trusted addresses: ask the customer whether it has ours",
    "redirect": _IN_BETWEEN,
    "not_greenhouse": _IN_BETWEEN,
    "many_lists_refused": _IN_BETWEEN,
    "uncounted_refusal": _IN_BETWEEN,
    "deadline": "more time: the next check asks again; if it never suffices, raise HARVEST_MONITOR_DEADLINE",
    "paused": "the first check after the pause",
    "write_halt": _OPERATOR,
    "write_alarm": _OPERATOR,
    "invalid_key": "a credential that works",
    "blocked": "a credential that Greenhouse serves from our address",
    "retired": "a credential of Harvest v3",
    "misconfigured": "a credential that can be loaded: correct the tenants file or what it refers to",
    "scopes_unreadable": "scopes that are named as this release knows them: please report it",
    "unknown_scope": "a release that knows this scope: please report it",
    "stale_token": _TOKEN,
    "unconfirmed_token": "one list that can be read with the token; the next check asks again",
    "organization_untold": _INTROSPECTION,
    "introspection_needed": _INTROSPECTION,
    "scope_or_role": "an answer of the auth server, or the customer: is its user a Site Admin, are the scopes ticked?",
    "list_never_read": "the customer, who sees under Manage scopes whether it is ticked",
    "other_role": "a token of a user who is a Site Admin",
    "unknown_role": "the customer: is the token's user a Site Admin?",
    "unconfirmed_role": "the customer: is the token's user a Site Admin?",
    "role_untold": _INTROSPECTION,
}


def what_decides(reason: str | None) -> str:
    """Whatever passes by itself, such as a time-out, is decided by asking again."""
    return _DECIDES.get(reason or "", _AGAIN)
