"""The digest: one email with everything that a run of the composer has for the operator."""

from collections.abc import Iterable
from itertools import groupby
from operator import attrgetter

from monitor.drift import EventKind
from monitor.notices.causes import PendingCause
from monitor.notices.content.credential_news import CredentialNews, StateChange
from monitor.notices.content.messages import DigestMessage, TenantNews
from monitor.notices.content.news_from_causes import Background, credential_news
from monitor.notices.partners import lost_to_all
from monitor.notices.wording import clean, counted

IN_FULL = 50
BY_NAME = 500

_SUMMARIES = {
    EventKind.LOST: "{} lost",
    EventKind.FOUND: "{} found missing",
    EventKind.NEWLY_REQUIRED: "{} newly required and not granted",
    EventKind.REGAINED: "{} back",
    EventKind.EXCESS_FOUND: "{} more than the manifest asks for",
    EventKind.EXCESS_GONE: "{} beyond the manifest no longer granted",
}


def digest(causes: Iterable[PendingCause], background: Background, operator: str) -> DigestMessage:
    """Some tenants in full, more by name, the rest as a number: a first sweep may bring thousands."""
    causes = list(causes)
    ordered = sorted(causes, key=attrgetter("tenant_name", "tenant_id"))
    by_tenant = groupby(ordered, key=attrgetter("tenant_id"))
    news = [_tenant_news(list(of_one), background, operator) for _, of_one in by_tenant]
    return DigestMessage(
        tenants=tuple(news[:IN_FULL]),
        brief=tuple(news[IN_FULL : IN_FULL + BY_NAME]),
        unnamed=len(news[IN_FULL + BY_NAME :]),
        lost_to_all=tuple(map(clean, lost_to_all(causes))),
        retired=background.v1_keys if any(cause.is_retirement for cause in causes) else None,
    )


def _tenant_news(causes: list[PendingCause], background: Background, operator: str) -> TenantNews:
    credentials = credential_news(causes, background, operator)
    return TenantNews(clean(causes[0].tenant_id), clean(causes[0].tenant_name), credentials, _summary(credentials))


def _summary(credentials: tuple[CredentialNews, ...]) -> str:
    changes = [_summary_of(change) for credential in credentials for change in credential.changes]
    counts: dict[EventKind, int] = {}
    for credential in credentials:
        for kind, listing in credential.listings.items():
            counts[kind] = counts.get(kind, 0) + listing.count
    listed = [_SUMMARIES[kind].format(counted(number, "permission")) for kind, number in counts.items()]
    return ", ".join([*dict.fromkeys(changes), *listed])


def _summary_of(change: StateChange) -> str:
    match change.kind:
        case EventKind.RECOVERED:
            return "credential works again"
        case EventKind.FOUND:
            return f"credential {change.state}, and never worked"
    return f"credential {change.state}"
