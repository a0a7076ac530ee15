"""The plain form of a mail: the same facts in words that need no template, for when one can not be used. Text only."""

from collections.abc import Iterable, Iterator
from dataclasses import fields
from functools import singledispatch

from monitor.notices.content.messages import (
    BrakeMessage,
    CredentialNews,
    CsmMessage,
    DigestMessage,
    FailedMessage,
    Listing,
    Message,
    PauseMessage,
    Window,
    counted,
)
from monitor.notices.content.retired_message import Customers, RetiredMessage, ScopeGroup, ScopeRequest

_RULER = "-" * 60
_ADMIN = "The admin needs the permission “Can manage ALL organization's API Credentials”, under Developer permissions."

# What an operator's mail is about, and the command to go on with.
HEADLINES = {
    "digest": ("news of tenants that no CSM is told of", "history"),
    "brake": ("mail to CSMs is held until you release or drop it", "notices list --status held"),
    "alarm": ("write probes are stopped: one was answered as none should be", "writes status"),
    "pause": ("all checks are paused, since many tenants were in trouble at once", "tenants list"),
    "resume": ("checks go on", "tenants list"),
    "template": ("a mail template can not be used", "notices list"),
    "failed": ("notices did not reach their readers", "notices list --status failed"),
}


def plain(letter: Message) -> tuple[str, str]:
    """Subject and text."""
    if isinstance(letter, CsmMessage):
        return _csm_subject(letter), "\n\n".join(_csm_text(letter)) + "\n"
    if isinstance(letter, RetiredMessage):
        return _retired_subject(letter), "\n\n".join(_retired_text(letter)) + "\n"
    headline, command = HEADLINES[letter.template]
    text = "\n\n".join(
        [
            f"{headline[:1].upper()}{headline[1:]}.",
            "\n".join(_facts(letter)),
            f"How to go on: harvest-monitor {command}",
            "This mail has its plain form: its template can not be used. The log says why (template_broken).",
            "You get this mail because you are the operator of this Harvest Monitor.",
        ]
    )
    return f"Harvest Monitor: {headline}", text + "\n"


def _csm_subject(letter: CsmMessage) -> str:
    counts = [
        (letter.count("credential_failed"), "credential", "no longer accepted"),
        (letter.count("lost"), "permission", "missing"),
        (letter.count("recovered"), "credential", "accepted again"),
        (letter.count("regained"), "permission", "back"),
    ]
    news = ", ".join(f"{counted(number, noun)} {what}" for number, noun, what in counts if number)
    return f"{letter.tenant}: Greenhouse: {news}"


def _csm_text(letter: CsmMessage) -> Iterator[str]:
    if letter.redirect:
        yield f"[ {letter.redirect} ]"
    yield f"Hello {letter.reader}," if letter.reader else "Hello,"
    for credential in letter.credentials:
        yield from _news(letter.tenant, credential)
    if letter.asks:
        yield f"Please forward this to {letter.tenant} as it is:\n{_RULER}"
        yield from _request(letter)
        yield _RULER
    elif not letter.is_open:
        yield "There is nothing you need to do about this."
    why = "" if letter.redirect else f"You get this mail because you look after {letter.tenant}. "
    yield f"{why}Harvest Monitor checks whether Greenhouse still lets our integration work. It changes nothing there."


def _news(tenant: str, credential: CredentialNews) -> Iterator[str]:
    whose = f"the Greenhouse credential “{credential.label}” of {tenant}"
    failed, recovered = credential.turn("credential_failed"), credential.turn("recovered")
    if failed:
        yield "\n".join([f"Greenhouse no longer accepts {whose}. {_why(credential)}", *_window(failed.window)])
    if recovered:
        yield "\n".join([f"Greenhouse accepts {whose} again.", *_window(recovered.window)])
    for listing, words in (
        (credential.listing("lost"), f"Missing on {whose}, and needed by our integration:"),
        (credential.listing("regained"), f"Back on {whose}:"),
        (credential.still_missing, f"Still missing on {whose}, as we wrote to you before:"),
    ):
        if listing:
            yield "\n".join([words, *_listing(listing)])


def _request(letter: CsmMessage) -> Iterator[str]:
    """The part a CSM forwards: it names one customer, and holds no link."""
    yield "Hello,"
    for credential in letter.credentials:
        whose = f"the API credential “{credential.label}” in the Greenhouse account of {letter.tenant}"
        lost = credential.listing("lost")
        if credential.turn("credential_failed"):
            yield f"Greenhouse no longer accepts {whose}, so our integration does not work there. {_why(credential)}"
            yield (
                "Could an admin please look under Configure › Dev Center › API Credential Management whether it is "
                "still there and enabled, and ask us before creating a new one? Please never send a key or a secret by "
                "e-mail."
            )
        if lost:
            yield f"Some permissions that our integration needs are missing on {whose}."
            yield from _asked_for(credential, lost) if credential.grant is None else _asked_for_scopes(credential, lost)
    if any(credential.grant != "partner" for credential in letter.credentials):
        yield _ADMIN
    yield "Thank you!"


def _asked_for(credential: CredentialNews, lost: Listing) -> Iterator[str]:
    yield (
        "Could an admin please go to Configure › Dev Center › API Credential Management, choose Manage "
        f"Permissions next to “{credential.label}”, tick these boxes and save?"
    )
    yield "\n".join(_boxes(lost))
    already = "If one that only “fits best” is ticked already, please tell us. " if lost.likely else ""
    yield f"{already}If any of them was removed on purpose, please tell us."


def _asked_for_scopes(credential: CredentialNews, lost: Listing) -> Iterator[str]:
    """By the way the credential was given: an admin ticks its scopes, or connects the partner's client again."""
    if credential.grant == "partner":
        yield "Could a Site Admin please connect our integration again, choosing “Authorize using a service account”?"
    else:
        yield (
            "Could an admin please go to Configure › Dev Center › API Credential Management, choose Manage scopes "
            f"next to “{credential.label}”, tick these boxes and save?"
        )
    if lost.scopes:
        yield "\n".join(_titles(lost.scopes))
    if lost.has_role:
        yield "Its user is not a Site Admin. Please make that user one, or let a Site Admin connect it."
    yield "If any of this was changed on purpose, please tell us."


def _why(credential: CredentialNews) -> str:
    failed = credential.turn("credential_failed")
    if failed and failed.detail == "no_scopes":
        return "It has no scopes at all any more: none is ticked under Manage scopes."
    if credential.kind == "harvest-key":
        return "It was revoked, or retired by Greenhouse."
    return "It was revoked, or its secret was changed."


def _listing(listing: Listing) -> Iterator[str]:
    for group in listing.groups:
        yield group.name
        for permission in group.permissions:
            yield f"  - {permission.label}{' (likely)' if permission.likely else ''}"
            if permission.impact:
                yield f"    {permission.impact}"
            yield from (f"    {line}" for line in _window(permission.window))
    yield from _window(listing.window)


def _boxes(listing: Listing) -> Iterator[str]:
    for group in listing.groups:
        yield f"   {group.name}"
        for permission in group.permissions:
            yield f"   [ ] {permission.label}{' (the box that fits best)' if permission.likely else ''}"


def _window(window: Window) -> list[str]:
    return [f"{caption}: {at}" for caption, at in window]


def _retired_subject(letter: RetiredMessage) -> str:
    whose = letter.names[0] if letter.count == 1 else counted(letter.count, "customer")
    return f"{whose}: Greenhouse switched off the keys of Harvest v1 and v2"


def _retired_text(letter: RetiredMessage) -> Iterator[str]:
    if letter.redirect:
        yield f"[ {letter.redirect} ]"
    yield f"Hello {letter.reader}," if letter.reader else "Hello,"
    yield (
        "Greenhouse has switched off the keys of its Harvest API v1 and v2. Our integration does not work for these "
        "customers until each has a new credential of the kind Harvest V3 (OAuth)."
    )
    for request in letter.requests:
        yield "\n".join(_keys(request.customers))
        yield f"Please forward this to each of them as it is. It names no customer:\n{_RULER}"
        yield from _request_v3(request)
        yield _RULER
    if letter.others.keys:
        yield "Please ask whoever runs Harvest Monitor which scopes these need:"
        yield "\n".join(_keys(letter.others))
    why = "" if letter.redirect else "You get this mail because you look after these customers. "
    yield f"{why}Harvest Monitor checks whether Greenhouse still lets our integration work. It changes nothing there."


def _keys(customers: Customers) -> Iterator[str]:
    for key in customers.keys:
        yield f"  - {key.customer}: “{key.label}” does not work since {key.since}"
    if customers.unnamed:
        yield f"And {counted(customers.unnamed, 'customer')} more."


def _request_v3(request: ScopeRequest) -> Iterator[str]:
    yield "Hello,"
    yield (
        "Greenhouse has switched off the keys of its Harvest API v1 and v2, and our integration needs a new "
        "credential. Could an admin please go to Configure › Dev Center › API Credential Management, create one of the "
        "kind Harvest V3 (OAuth), keep the client ID and the secret, which is shown once, choose Manage scopes, tick "
        "these boxes and save?"
    )
    yield "\n".join(_titles(request.groups))
    for more in request.optional:
        yield "\n".join([f"   Only if this holds for you: {more.meaning}. Then, too:", *_titles(more.groups)])
    if request.derived:
        yield "This list is derived from the permissions of the old key."
    yield "Please never send the client secret by e-mail. Ask us for a safe way to hand it over."
    yield _ADMIN
    yield "Thank you!"


def _titles(groups: Iterable[ScopeGroup]) -> Iterator[str]:
    for group in groups:
        yield f"   {group.name}"
        yield from (f"   [ ] {title}" for title in group.titles)


@singledispatch
def _facts(letter: Message) -> Iterator[str]:
    """A line for each field of the letter."""
    for field in fields(letter):
        yield f"{field.name.replace('_', ' ').capitalize()}: {getattr(letter, field.name) or 'none was given'}"


@_facts.register
def _(letter: DigestMessage) -> Iterator[str]:
    for tenant in (*letter.tenants, *letter.brief):
        yield f"  - {tenant.name} ({tenant.id}): {tenant.summary}"
    if letter.unnamed:
        yield f"And {counted(letter.unnamed, 'tenant')} more."


@_facts.register
def _(letter: BrakeMessage) -> Iterator[str]:
    for wave in letter.waves:
        examples = ", ".join(f"{name} ({tenant_id})" for tenant_id, name in wave.examples)
        yield f"  - {counted(wave.tenants, 'tenant')} {wave.what}, for example {examples}"


@_facts.register
def _(letter: PauseMessage) -> Iterator[str]:
    yield f"In trouble: {letter.in_trouble} of {counted(letter.heard, 'tenant')} asked about last, since {letter.since}"
    for sign, tenants in letter.troubles:
        yield f"  - {sign.replace('_', ' ')}: {counted(tenants, 'tenant')}"
    yield f"Paused: {letter.at}, for {letter.first} at first and {letter.longest} at last; checks go on by themselves"


@_facts.register
def _(letter: FailedMessage) -> Iterator[str]:
    for notice in letter.notices:
        yield f"  - {notice.number} to {notice.recipient}: {notice.subject}: {notice.reason}"
    if letter.more:
        yield f"And {letter.more:,} more."
