"""The digest: one email with everything that a run of the composer has for the operator."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby
from operator import attrgetter

from monitor.drift import EventKind
from monitor.notices.causes import PendingCause
from monitor.notices.content.credential_news import CredentialNews, StateChange
from monitor.notices.content.messages import CsmMessage, DigestMessage, DigestShare, TenantNews, ToldCsm
from monitor.notices.content.news_from_causes import Background, credential_news, is_sensitive, window
from monitor.notices.partners import lost_to_all
from monitor.notices.wording import clean, counted

IN_FULL = 50
BY_NAME = 500
REQUESTS = 3
"""For so many tenants it has a part to send to the customer; each may list all permissions of a manifest."""

_SUMMARIES = {
    EventKind.LOST: "{} missing",
    EventKind.FOUND: "{} missing since the first check",
    EventKind.NEWLY_REQUIRED: "{} newly required and not granted",
    EventKind.REGAINED: "{} no longer missing",
    EventKind.EXCESS_FOUND: "{} granted",
    EventKind.EXCESS_GONE: "{} gone",
}
_EXTRA = (EventKind.EXCESS_FOUND, EventKind.EXCESS_GONE)
# What works as before, or better, needs nobody; an extra permission breaks nothing, and has to be decided on only where
# it opens sensitive data and the customer can untick it.
_QUIET = frozenset({EventKind.REGAINED, EventKind.RECOVERED, *_EXTRA})


def digest(
    causes: Iterable[PendingCause], background: Background, operator: str, told: Sequence[CsmMessage] = ()
) -> DigestMessage:
    """Some tenants in full, more by name, the rest as a number: a first sweep may bring thousands.

    `told` are the emails of the same run to CSMs.
    """
    causes = list(causes)
    ordered = sorted(causes, key=attrgetter("tenant_name", "tenant_id"))
    action = _share([cause for cause in ordered if not _is_quiet(cause)], background, operator, IN_FULL, BY_NAME)
    room, names = IN_FULL - len(action.tenants), BY_NAME - len(action.brief)
    quiet = _share([cause for cause in ordered if _is_quiet(cause)], background, operator, room, names)
    retired = [cause for cause in causes if cause.is_retirement]
    return DigestMessage(
        action=_with_requests(action, {cause.tenant_id for cause in causes if cause.concerns_all}),
        quiet=quiet,
        total=len({cause.tenant_id for cause in causes}),
        told=tuple(ToldCsm(one.tenant, one.reader, _summary(one.credentials)) for one in told[:IN_FULL]),
        told_more=len(told[IN_FULL:]),
        lost_to_all=tuple(map(clean, lost_to_all(causes))),
        retired=background.v1_keys if retired else None,
        retired_when=window(retired) if retired else "",
        locked_out=len({cause.tenant_id for cause in retired} - background.with_access),
        accept_first=bool(retired and background.unaccepted),
    )


def _is_quiet(cause: PendingCause) -> bool:
    opens = cause.kind is EventKind.EXCESS_FOUND and is_sensitive(cause) and cause.credential_grant != "partner"
    return cause.kind in _QUIET and not opens


def _share(
    causes: Iterable[PendingCause], background: Background, operator: str, in_full: int, by_name: int
) -> DigestShare:
    by_tenant = [list(of_one) for _, of_one in groupby(causes, key=attrgetter("tenant_id"))]
    # What is said of all retired keys together needs no paragraph for each.
    alike = [theirs for theirs in by_tenant if len(by_tenant) > 1 and all(cause.is_retirement for cause in theirs)]
    apart = [theirs for theirs in by_tenant if theirs not in alike]
    in_order = [*apart[:in_full], *alike, *apart[in_full:]]
    news = [_tenant_news(theirs, background, operator) for theirs in in_order]
    full = min(in_full, len(apart))
    return DigestShare(
        tenants=tuple(news[:full]), brief=tuple(news[full : full + by_name]), unnamed=len(news[full + by_name :])
    )


def _tenant_news(causes: list[PendingCause], background: Background, operator: str) -> TenantNews:
    credentials = credential_news(causes, background, operator)
    first, csm = causes[0], clean(causes[0].csm_name or "")
    return TenantNews(clean(first.tenant_id), clean(first.tenant_name), credentials, _summary(credentials), csm=csm)


def _with_requests(share: DigestShare, not_theirs: set[str]) -> DigestShare:
    """The first few get a part to send to the customer; `not_theirs` lack what no customer can restore."""
    tenants, left = [], REQUESTS
    for tenant in share.tenants:
        request = None if tenant.id in not_theirs or not left else _request(tenant)
        left -= request is not None
        tenants.append(replace(tenant, request=request))
    return replace(share, tenants=tuple(tenants))


def _request(tenant: TenantNews) -> CsmMessage | None:
    may_be_asked = [news for news in tenant.credentials if news.may_forward and not news.changes]
    asked = tuple(news for news in may_be_asked if news.asked or news.unwanted)
    return CsmMessage(tenant.name, tenant.id, "", asked, "") if asked else None


def _summary(credentials: tuple[CredentialNews, ...]) -> str:
    changes = [_summary_of(change) for credential in credentials for change in credential.changes]
    counts: dict[EventKind, int] = {}
    sensitive: dict[EventKind, int] = {}
    for credential in credentials:
        for kind, listing in credential.listings.items():
            counts[kind] = counts.get(kind, 0) + listing.count
            sensitive[kind] = sensitive.get(kind, 0) + (listing.sensitive if kind in _EXTRA else 0)
    listed = [
        _SUMMARIES[kind].format(counted(number, "extra permission" if kind in _EXTRA else "permission"))
        + (f" ({sensitive[kind]} sensitive)" if sensitive[kind] else "")
        for kind, number in counts.items()
    ]
    return ", ".join([*dict.fromkeys(changes), *listed])


def _summary_of(change: StateChange) -> str:
    match change.kind:
        case EventKind.RECOVERED:
            return "credential works again"
        case EventKind.FOUND:
            return f"credential {change.state}, and never worked"
    return f"credential {change.state}"
