"""What to leave out of a message that is too large for an email, and how to make several of one. Pure.

A part that is to be forwarded stays whole. What is left out is counted, and pages and commands show it.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import singledispatch
from itertools import groupby
from operator import attrgetter

from monitor.notices.content.credential_news import CredentialNews, Listing, PermissionLine
from monitor.notices.content.messages import BrakeMessage, CsmMessage, DigestMessage, DigestShare, Message
from monitor.notices.content.retired_message import Customers, RetiredKey, RetiredMessage, ScopeRequest

MOST_PARTS = 10
"""So many emails at once name a CSM's customers; the last one counts the rest."""


@singledispatch
def shortened(message: Message) -> Message | None:
    """The next shorter version of a message; None if there is none."""
    return None


@shortened.register
def _(message: DigestMessage) -> DigestMessage | None:
    """What needs nobody goes first: fewer tenants in full, then fewer by name; then less about those that are left."""
    if message.quiet.tenants and message.total > 1:
        return replace(message, quiet=_fewer_in_full(message.quiet, keep=0))
    if len(message.action.tenants) > 1:
        return replace(message, action=_fewer_in_full(message.action, keep=1))
    if message.quiet.brief:
        return replace(message, quiet=_fewer_by_name(message.quiet))
    if message.action.brief:
        return replace(message, action=_fewer_by_name(message.action))
    if message.told:
        kept = len(message.told) // 2
        return replace(message, told=message.told[:kept], told_more=message.told_more + len(message.told) - kept)
    shorter = replace(message, action=_brief_share(message.action), quiet=_brief_share(message.quiet))
    return shorter if shorter != message else None


def _fewer_in_full(share: DigestShare, keep: int) -> DigestShare:
    kept = max(len(share.tenants) // 2, keep)
    return replace(share, tenants=share.tenants[:kept], brief=(*share.tenants[kept:], *share.brief))


def _fewer_by_name(share: DigestShare) -> DigestShare:
    kept = len(share.brief) // 2
    return replace(share, brief=share.brief[:kept], unnamed=share.unnamed + len(share.brief) - kept)


def _brief_share(share: DigestShare) -> DigestShare:
    tenants = (replace(each, credentials=_without_details(each.credentials)) for each in share.tenants)
    return replace(share, tenants=tuple(tenants))


@shortened.register
def _(message: CsmMessage) -> CsmMessage | None:
    """Without times and effects of single permissions: what to forward has neither."""
    shorter = _without_details(message.credentials)
    return replace(message, credentials=shorter) if shorter != message.credentials else None


@shortened.register
def _(message: RetiredMessage) -> RetiredMessage | None:
    """Customers by name alone, then fewer of them."""
    short = _in_short(message)
    if short != message:
        return short
    lists = [*(request.customers for request in message.requests), message.others]
    if not any(len(one.keys) > 1 for one in lists):
        return None
    fewer = [_first_half(one) for one in lists]
    requests = (replace(one, customers=kept) for one, kept in zip(message.requests, fewer[:-1], strict=True))
    return replace(message, requests=tuple(requests), others=fewer[-1])


@shortened.register
def _(message: BrakeMessage) -> BrakeMessage | None:
    """Fewer examples of each change."""
    most = max((len(burst.examples) for burst in message.bursts), default=0)
    if most <= 1:
        return None
    bursts = tuple(replace(burst, examples=burst.examples[: most // 2]) for burst in message.bursts)
    return replace(message, bursts=bursts)


def in_parts(message: RetiredMessage, fits: Callable[[RetiredMessage], bool]) -> list[RetiredMessage]:
    """The message, or several that fit and name each customer once, each with what to forward to those it names.

    One email with customers by name alone is better than several with more about each.
    """
    short = _in_short(message)
    if one := next(filter(fits, (message, short)), None):
        return [one]
    # As if it were the last of the most: each part says which one it is, for which there must be room.
    parts = _split(replace(short, part=MOST_PARTS, parts=MOST_PARTS, total=message.count), fits)
    if len(parts) > MOST_PARTS:
        beyond = sum(part.count for part in parts[MOST_PARTS:])
        parts = [*parts[: MOST_PARTS - 1], _with_the_rest(parts[MOST_PARTS - 1], beyond, fits)]
    return [replace(part, part=number, parts=len(parts), total=message.count) for number, part in enumerate(parts, 1)]


def _split(message: RetiredMessage, fits: Callable[[RetiredMessage], bool]) -> list[RetiredMessage]:
    if fits(message):
        return [message]
    nobody, requests = Customers(0, ()), message.requests
    if requests and message.others.count:
        halves = _part(message, requests, nobody), _part(message, (), message.others)
    elif len(requests) > 1:
        middle = len(requests) // 2
        halves = _part(message, requests[:middle], nobody), _part(message, requests[middle:], nobody)
    else:
        return list(_by_customers(message, fits))
    return [part for half in halves for part in _split(half, fits)]


def _by_customers(message: RetiredMessage, fits: Callable[[RetiredMessage], bool]) -> Iterator[RetiredMessage]:
    """Of a message with one list: as many customers in each part as fit, and one at least."""
    listed = message.requests[0].customers if message.requests else message.others
    keys = [list(of_one) for _, of_one in groupby(listed.keys, key=attrgetter("tenant_id"))]
    while keys:
        sizes = range(2, len(keys) + 1)
        number = 1 + bisect_left(sizes, True, key=lambda size: not fits(_naming(message, listed, keys[:size])))
        unnamed = listed.unnamed if number == len(keys) else 0
        yield _naming(message, replace(listed, unnamed=unnamed), keys[:number])
        keys = keys[number:]


def _naming(message: RetiredMessage, listed: Customers, keys: Sequence[Sequence[RetiredKey]]) -> RetiredMessage:
    named = tuple(key for of_one in keys for key in of_one)
    customers = replace(listed, count=len(keys) + listed.unnamed, keys=named)
    if message.requests:
        return _part(message, (replace(message.requests[0], customers=customers),), message.others)
    return _part(message, (), customers)


def _part(message: RetiredMessage, requests: Sequence[ScopeRequest], others: Customers) -> RetiredMessage:
    count = sum(request.customers.count for request in requests) + others.count
    return replace(message, requests=tuple(requests), others=others, count=count)


def _first_half(customers: Customers) -> Customers:
    kept = customers.keys[: (len(customers.keys) + 1) // 2]
    return replace(customers, keys=kept, unnamed=customers.count - _count(kept))


def _in_short(message: RetiredMessage) -> RetiredMessage:
    requests = (replace(one, customers=replace(one.customers, in_short=True)) for one in message.requests)
    return replace(message, requests=tuple(requests), others=replace(message.others, in_short=True))


def _with_the_rest(part: RetiredMessage, more: int, fits: Callable[[RetiredMessage], bool]) -> RetiredMessage:
    """It counts so many more customers; the last that it names as well, as far as the words about them need room."""
    found = _with_last_list(part, lambda last: replace(last, count=last.count + more, unnamed=last.unnamed + more))
    found = replace(found, count=part.count + more)
    while not fits(found):
        fewer = _with_last_list(found, _one_name_fewer)
        if fewer == found:
            break
        found = fewer
    return found


def _with_last_list(part: RetiredMessage, changed: Callable[[Customers], Customers]) -> RetiredMessage:
    if not part.requests:
        return replace(part, others=changed(part.others))
    *before, last = part.requests
    return replace(part, requests=(*before, replace(last, customers=changed(last.customers))))


def _one_name_fewer(customers: Customers) -> Customers:
    kept = tuple(key for key in customers.keys if key.tenant_id != customers.keys[-1].tenant_id)
    return replace(customers, keys=kept, unnamed=customers.count - _count(kept)) if kept else customers


def _count(keys: Iterable[RetiredKey]) -> int:
    return len({key.tenant_id for key in keys})


def _without_details(credentials: Iterable[CredentialNews]) -> tuple[CredentialNews, ...]:
    return tuple(
        replace(
            each,
            listings={kind: _brief(listing) for kind, listing in each.listings.items()},
            still_missing=_brief(each.still_missing) if each.still_missing else None,
        )
        for each in credentials
    )


def _brief(listing: Listing) -> Listing:
    groups = (replace(group, permissions=tuple(map(_brief_line, group.permissions))) for group in listing.groups)
    return replace(listing, groups=tuple(groups))


def _brief_line(line: PermissionLine) -> PermissionLine:
    return replace(line, window="", impact="")
