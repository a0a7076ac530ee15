"""What the codes mean that a check gives as reasons, in words for people; docs/verdicts.md carries the same tables."""

from collections.abc import Mapping

# The codes, not the words, are stored and are part of `check --json`: they stay as they are.
REASONS: Mapping[str, str] = {
    "refused": "Greenhouse says the key has no permission for this endpoint",
    "data": "Greenhouse answered with data",
    "past_permission_check": "Greenhouse looked for the record, which it does after checking the permission",
    "no_positive_control": "nothing shows that the API serves this credential at all",
    "no_refusal": "nothing shows that the permission comes before what gave this answer: perhaps the key has them all",
    "mixed_controls": "the controls disagree",
    "unexpected_answer": "a list answered something other than its data or a refusal",
    "unknown_refusal": "refused without the known text: perhaps an IP rule; see the credential's IP list",
    "rate_limited": "the rate limit was still reached after three tries",
    "server_error": "Greenhouse answered with a server error",
    "timeout": "no answer in time",
    "no_connection": "no connection, or one that broke",
    "not_json": "the answer is not JSON, or longer than is read",
    "copied": "the answer came out of a cache, or had been given before: Greenhouse was not asked",
    "redirect": "Greenhouse redirected, and redirects are not followed with a key",
    "deadline": "the time for the check ran out",
    "paused": "checks paused because many tenants were in trouble at once",
    "invalid_key": "the credential was refused as a whole",
    "blocked": "the credential as a whole was refused in an unknown way",
    "retired": "Greenhouse no longer serves the API that this credential is for",
    "unreachable": "no usable answer at all",
    "not_greenhouse": "something between us and Greenhouse answers: data of a record that does not exist",
    "unconfirmed": "refused once, and the second check could not tell",
    "write_halt": "write probes are halted; see `writes status`",
    "write_alarm": "the write probe was answered as if it had done something; see `writes status`",
    "no_endpoint": "Greenhouse documents no endpoint for this label",
    "writes_off": "write probes are off for this tenant",
    "writes_without_id_off": "this write has no id in its path and is only probed under `all`",
    "scope_carried": "the token carries the scope",
    "scope_not_carried": "the token does not carry the scope",
    "scopes_unreadable": "the token's scopes are named in a way that is not wholly understood, so they decide nothing",
    "unknown_scope": "the token carries a scope that this release does not know, and that may stand for this one",
    "contradicted": "two answers, or two parts of one answer, say the opposite of each other: check again",
    "list_refused": "the scope's list is refused, and another one is not",
    "list_never_read": "the list is refused, and nothing shows that this credential ever could read it",
    "many_lists_refused": "too many lists are refused at once for scopes that were lost: perhaps something in between",
    "uncounted_refusal": "refused without the rate limit that Greenhouse's answers state: perhaps something in between",
    "scope_or_role": "every list is refused: the scope is missing, or the token's user is not a Site Admin",
    "stale_token": "the token says that it may read a list, and is refused: check again with a new one",
    "unconfirmed_token": "the list that was to confirm the token could not be read",
    "organization_untold": "the auth server does not say whose token this is",
    "introspection_needed": "only introspection could tell, and it failed",
    "no_scope": "the manifest names no scope of Harvest v3 for it",
    "misconfigured": "what is stored for the credential is wrong, or belongs to somebody else",
    "site_admin": "the token acts for a Site Admin, or for no user",
    "other_role": "the token's user is not a Site Admin, so lists are refused",
    "unknown_role": "the token's user has a role whose name is not known",
    "unconfirmed_role": "the token's user is said not to be a Site Admin, and too few lists show whether that is so",
    "role_untold": "nothing says for whom the token acts",
}
"""By the `reason` of a finding: why a permission has its verdict."""

DETAILS = {
    "revoked": "Greenhouse does not know the key: deleted, disabled or mistyped",
    "revoked_or_retired": "Greenhouse does not know the key: revoked, or retired by Greenhouse",
    "unknown_refusal": "refused without a known text: perhaps the credential's list of trusted addresses",
    "refused_without_key": "refused without a known text, as is a request without a key: perhaps this machine's "
    "address, or Greenhouse switched off the API; not the credential's list of trusted addresses",
    "api_retired": "every request, and one without a key, has got the same answer for an hour, and not one of the "
    "API's",
    "looks_retired": "every request, and one without a key, gets the same answer, and not one of the API's: "
    "a maintenance, or, if it lasts for an hour, Greenhouse retired the API",
    "hardly_served": "hardly any request is served, and most get an answer that is none of the API's: perhaps it is "
    "being closed, or something in between answers",
    "uniform_answer": "every request gets the same answer, and not one of the API's; a request without a key does not "
    "get it",
    "redirected": "every request is redirected to a host that is not Greenhouse's: perhaps a proxy or a login page in "
    "between",
    "server_error": "Greenhouse answers with server errors",
    "timeout": "connected, but no answer in time; or out of time at several steps",
    "no_connection": "no connection to Greenhouse, for more than one reason or an unknown one: see the log",
    "name_not_found": "the name of Greenhouse's server cannot be resolved: check this machine's DNS",
    "name_timeout": "the name of Greenhouse's server was not resolved in time: check this machine's DNS",
    "connection_refused": "Greenhouse's server refuses connections: perhaps a firewall in between",
    "no_route": "no route leads to Greenhouse's server: check this machine's network and firewall",
    "connect_timeout": "Greenhouse's server did not accept a connection in time: perhaps a firewall in between",
    "certificate_untrusted": "the certificate of Greenhouse's server is not trusted: if a proxy opens TLS, "
    "its authority belongs into the CA bundle; the log names it",
    "certificate_expired": "the certificate of Greenhouse's server has expired, or is not valid yet: check this "
    "machine's clock; the log names its dates",
    "certificate_name": "the certificate of Greenhouse's server is for another name: something in between answers; the "
    "log names it",
    "tls_failed": "the TLS handshake with Greenhouse failed: something in between, perhaps a proxy, answers",
    "tls_timeout": "a connection was accepted, but the TLS handshake not finished in time: perhaps a firewall's doing",
    "proxy_not_found": "the name of the proxy cannot be resolved: correct its address in the settings",
    "proxy_refused": "the proxy refuses connections: check that it runs, and its address in the settings",
    "proxy_timeout": "the proxy did not open a way to Greenhouse in time",
    "proxy_login": "the proxy does not accept our user and password, or asks for them (407): correct them in "
    "the settings",
    "proxy_denied": "the proxy does not allow connections to Greenhouse: have them allowed",
    "proxy_failed": "the proxy could not reach Greenhouse, or closed the connection: the log has its status",
    "connection_reset": "the connection was reset before an answer was complete: perhaps by a firewall in between",
    "connection_closed": "the connection was closed before an answer was complete",
    "not_http": "what answered in Greenhouse's place does not speak HTTP",
    "no_file_handles": "the monitor has no file handles left for a connection: raise the limit of open files",
    "rate_limited": "the rate limit is reached before the check can begin",
    "no_usable_answer": "answers came, but none of the API's",
    "not_greenhouse": "something between us and Greenhouse answers: it gave data of records that do not exist",
    "misconfigured": "the tenants file or a reference in it is wrong; the message beside it says what and where",
    "invalid_client": "the auth server does not know the client, or its secret: disabled, deleted or mistyped; check "
    "what the references hold",
    "secret_refused": "the auth server does not accept the client's secret, but Harvest still serves the token: store "
    "the present secret; ours is old, or the credential was disabled within the hour",
    "unconfirmed_client": "the auth server does not accept the client, and no list shows whether the token still "
    "works: check what the references hold",
    "contradicted": "the credential is served and refused in one check, which is not how a revoked one answers",
    "auth_server_refused": "the auth server refuses the request without a known text: perhaps a proxy in between, or "
    "the credential's list of trusted addresses",
    "malformed_client": "the client id is not one: correct what its reference holds",
    "no_scopes": "the credential has no scopes at all: have them ticked under Manage scopes",
    "grant_refused": "the auth server refuses this client what was asked for. A new token (`mint`): supply one "
    "instead, as a partner's client must, or correct `sub`. News of the token we hold: check that token and client "
    "belong together",
    "foreign_client": "the auth server says that the token is another client's: correct the reference of the token, or "
    "of the client id",
    "foreign_organization": "the auth server names another organization than the tenants file, so nothing was judged: "
    "correct the references, or `organization`",
    "token_stale": "the token we were given has expired: fix what supplies it",
    "token_inactive": "the token we were given is not active, perhaps revoked or replaced: supply the newest one",
    "token_refused": "Harvest v3 does not accept the token, expired or revoked: supply the newest one",
    "every_list_refused": "every list is refused, and introspection did not work: no scope, another role, or something "
    "in between",
    "organization_untold": "nothing says whose token we were given, so nothing was read with it",
    "secret_source": "the secret could not be read this time, from its file or its command: see the log",
    "deadline": "the time for the check ran out before the first usable answer",
    "paused": "checks paused because many tenants were in trouble at once: nothing is known about this one",
}
"""Every code that `detail` can hold, with its meaning; docs/verdicts.md carries the same table."""


def advice(detail: str) -> str:
    """What to do about it, where its words say so; for whoever has the sentence with the names already."""
    return DETAILS.get(detail, "").partition(": ")[2].partition(";")[0]
