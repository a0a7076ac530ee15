"""The digest: one mail to the operator with everything a run of the composer has for them."""

from collections.abc import Iterable
from itertools import groupby
from operator import attrgetter

from monitor.drift import EventKind
from monitor.notices.changes import PendingCause
from monitor.notices.content.messages import (
    Background,
    CredentialNews,
    DigestMessage,
    TenantNews,
    clean,
    counted,
    credential_news,
)
from monitor.notices.partners import shared

IN_FULL = 50
BY_NAME = 500

_SUMMARIES = {
    EventKind.LOST: "{} lost",
    EventKind.FOUND: "{} missing at the first look",
    EventKind.NEWLY_REQUIRED: "{} newly required and not granted",
    EventKind.REGAINED: "{} back",
    EventKind.EXCESS_FOUND: "{} more than the manifest asks for",
    EventKind.EXCESS_GONE: "{} of those it does not ask for gone",
}


def digest(causes: Iterable[PendingCause], background: Background) -> DigestMessage:
    """Tenants in full, then by name, then by number only: a first sweep may bring thousands."""
    causes = list(causes)
    ordered = sorted(causes, key=attrgetter("tenant_name", "tenant_id"))
    news = [_tenant_news(list(of_one), background) for _, of_one in groupby(ordered, key=attrgetter("tenant_id"))]
    return DigestMessage(
        tenants=tuple(news[:IN_FULL]),
        brief=tuple(news[IN_FULL : IN_FULL + BY_NAME]),
        unnamed=len(news[IN_FULL + BY_NAME :]),
        shared=tuple(map(clean, shared(causes, background.partners))),
    )


def _tenant_news(causes: list[PendingCause], background: Background) -> TenantNews:
    credentials = credential_news(causes, background)
    return TenantNews(clean(causes[0].tenant_id), clean(causes[0].tenant_name), credentials, _summary(credentials))


def _summary(credentials: tuple[CredentialNews, ...]) -> str:
    turns = [
        "credential works again" if turn.kind is EventKind.RECOVERED else f"credential {turn.state}"
        for credential in credentials
        for turn in credential.turns
    ]
    counts: dict[EventKind, int] = {}
    for credential in credentials:
        for kind, listing in credential.listings.items():
            counts[kind] = counts.get(kind, 0) + listing.count
    listed = [_SUMMARIES[kind].format(counted(number, "permission")) for kind, number in counts.items()]
    return ", ".join([*dict.fromkeys(turns), *listed])
