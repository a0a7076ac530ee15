"""The fallback text of any message, for when its template cannot be used: its subject, and every fact in a list."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum

from monitor.notices.content.messages import AlarmMessage, CsmMessage, DigestMessage, Message, ResumeMessage
from monitor.notices.content.page_links import PageLinks
from monitor.notices.content.retired_message import RetiredMessage

ABOUT = {  # what an email to the operator is about, and the command to go on with
    "digest": ("news that no CSM is notified of", "history"),
    "brake": ("emails to CSMs are held until you release or drop them", "notices list --status held"),
    "alarm": ("write probes stopped: one got an answer that no probe should get", "writes status"),
    "pause": ("all checks are paused, because many tenants were in trouble at once", "tenants list"),
    "resume": ("checks have resumed", "tenants list"),
    "template": ("an email template cannot be used", "notices list"),
    "failed": ("notices did not reach their readers", "notices list --status failed"),
}
_NO_SECRETS = "Never send a key or a secret by e-mail."


def fallback_subject(message: Message) -> str:
    names = ", ".join(dict.fromkeys(_tenants(message)))
    if isinstance(message, RetiredMessage) and message.count > 1:
        names = f"{message.count:,} customers"  # in a forwarded subject nobody may read who the others are
    if isinstance(message, CsmMessage | RetiredMessage):
        return f"{names}: {_headline(message)}"
    begins = "No action" if isinstance(message, ResumeMessage) or _is_quiet(message) else "Action"
    return f"{begins}: {_headline(message)}" + (f": {names}" if names else "")


def _is_quiet(message: Message) -> bool:
    return isinstance(message, DigestMessage) and not message.action.total


def fallback_text(message: Message, links: PageLinks) -> str:
    headline = _headline(message)
    # Not capitalize(), which would put the rest into lower case: API, CSM, Greenhouse.
    parts = [f"{headline[:1].upper()}{headline[1:]}.", "\n".join(_facts(message))]
    # Above what a CSM copies out of it to ask the customer.
    parts += [f"{link.words}:\n{link.address}" for link in links.all_in(message)]
    parts += _next_step(message)
    return "\n\n".join([*parts, "This email is a plain list because its template cannot be used."]) + "\n"


def _tenants(message: Message) -> Iterator[str]:
    if isinstance(message, CsmMessage | AlarmMessage):
        yield message.tenant
    elif isinstance(message, RetiredMessage):
        yield from message.names
    elif isinstance(message, DigestMessage):
        yield from (*message.action.names, *message.quiet.names)


def _headline(message: Message) -> str:
    if isinstance(message, CsmMessage):
        return "Greenhouse access is missing" if message.asks else "Greenhouse access is back"
    if isinstance(message, RetiredMessage):
        return "Greenhouse switched off the API keys of Harvest v1 and v2"
    return ABOUT[message.template][0]


def _next_step(message: Message) -> Iterator[str]:
    """What the CSM asks the customer for, or the operator's next command."""
    if isinstance(message, RetiredMessage):
        yield (
            "Please ask each of these customers, without naming the others, to create a Harvest V3 (OAuth) credential "
            f"with the scopes listed for it. {_NO_SECRETS}"
        )
    elif not isinstance(message, CsmMessage):
        yield f"Next step: harvest-monitor {ABOUT[message.template][1]}"
    elif message.asks:
        yield (
            f"Please ask an admin of {message.tenant}'s Greenhouse account to restore what is listed here, under "
            "Configure › Dev Center › API Credential Management or, for a partner connection, by connecting our "
            f"integration again. {_NO_SECRETS}"
        )
        yield "\n".join(_boxes(message))


def _boxes(message: CsmMessage) -> Iterator[str]:
    for credential in message.credentials:
        if credential.change("credential_failed"):
            yield f"{credential.label}: make sure that it exists and is enabled"
        if lost := credential.listing("lost"):
            yield f"{credential.label}:"
            titles = [title for group in lost.scopes for title in group.titles]
            roles = [permission.label for permission in lost.permissions if permission.is_role]
            yield from (f"   [ ] {title}" for title in (*titles, *roles))


def _facts(value: object) -> Iterator[str]:
    """Every field on a line, with its name as caption, nested ones indented. What is empty is left out."""
    # Generic on purpose: a field that is added to a message is here without another line.
    if isinstance(value, tuple):
        for item in value:
            # A tuple in a tuple is a caption with its value.
            lines = [": ".join(map(str, item))] if isinstance(item, tuple) else list(_facts(item))
            yield from (f"{'- ' if number == 0 else '  '}{line}" for number, line in enumerate(lines))
    elif isinstance(value, Mapping) or (is_dataclass(value) and not isinstance(value, type)):
        named = (
            value if isinstance(value, Mapping) else {each.name: getattr(value, each.name) for each in fields(value)}
        )
        for name, content in named.items():
            lines, caption = list(_facts(content)), str(name).replace("_", " ").capitalize()
            if isinstance(content, str | int):
                yield from (f"{caption}: {line}" for line in lines)
            elif lines:
                yield from (f"{caption}:", *(f"  {line}" for line in lines))
    elif value:
        yield "yes" if value is True else value.value.replace("_", " ") if isinstance(value, Enum) else str(value)
