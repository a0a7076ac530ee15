"""Messages of every kind, with any text as the names in them."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path

from jinja2 import ChoiceLoader, FileSystemLoader

from monitor.drift import EventKind
from monitor.notices.causes import StillMissing
from monitor.notices.content.messages import (
    AlarmMessage,
    FailedMessage,
    FailedNotice,
    Message,
    PauseMessage,
    ResumeMessage,
    TemplateMessage,
)
from monitor.notices.content.news_from_causes import Background
from monitor.notices.content.render import Renderer
from monitor.notices.content.retired_message import (
    Boxes,
    Customers,
    OptionalScopes,
    RetiredKey,
    RetiredMessage,
    ScopeGroup,
    ScopeRequest,
)
from monitor.notices.wording import clean, duration, moment
from tests.notices import NOW, a_cause, composed, for_operator

LOST, REGAINED, FOUND = EventKind.LOST, EventKind.REGAINED, EventKind.FOUND
FAILED, RECOVERED = EventKind.CREDENTIAL_FAILED, EventKind.RECOVERED
MINUTE = timedelta(minutes=1)
HOSTILE = "<script>alert(1)</script>\r\nBcc: everybody@example.org\u2028{{ 7 * 7777 }} & “Co” \x00\u202e"
LONG = "GET: " + "ein sehr langes Wort " * 14 + "x" * 20
UNICODE = "Žluťoučký kůň 株式会社 🐎"


def with_templates(folder: Path, templates: Mapping[str, str]) -> Renderer:
    """A renderer with these templates, written to the folder, in place of ours with the same names."""
    renderer = Renderer()
    ours = renderer.environment.loader
    assert ours is not None
    for name, text in templates.items():
        (folder / name).write_text(text, "utf-8")
    renderer.environment.loader = ChoiceLoader([FileSystemLoader(folder), ours])
    return renderer


def an_alarm(text: str = "Acme", stops: str = "all") -> AlarmMessage:
    return AlarmMessage(clean(text), "acme", clean(text), "POST /v1/candidates", 201, moment(NOW), "req-1", "", stops)


def messages_about_retired_keys(text: str, number: int) -> Iterator[Message]:
    """The first and a monthly message, to a CSM and to the operator, about customers with known and unknown scopes."""
    keys = tuple(RetiredKey(clean(text), f"t{n}", clean(text), moment(NOW)) for n in range(number))
    groups = (ScopeGroup(clean(text), (clean(text),) * number),)
    listed = Boxes(groups, ((clean(text), clean(text)),))
    known = ScopeRequest(Customers(number, keys), listed, (OptionalScopes(clean(text), groups),), approved=True)
    other = ScopeRequest(Customers(number + 3, keys, 3), Boxes(groups), (), approved=True)
    waiting = ScopeRequest(Customers(number, keys), Boxes(groups), (), approved=False)
    none, all_of_them = Customers(0, ()), Customers(number, keys)
    yield RetiredMessage(clean(text), number, (known,), none, again=False, redirect="")
    yield RetiredMessage("", 3 * number, (known, other), all_of_them, again=True, redirect=clean(text))
    yield RetiredMessage("", number, (), all_of_them, again=False, redirect="")
    yield RetiredMessage(clean(text), number, (waiting,), none, again=False, redirect="")


def messages_of_every_kind(text: str, number: int) -> Iterator[Message]:
    """A message of every kind, with `text` wherever somebody else's text goes, and `number` of everything."""
    facts = {"tenant_name": text, "credential_label": text, "csm_name": text, "permission_group": text, "detail": text}
    background = Background({f"p{n}": text for n in range(number)}, (StillMissing(1, "other", text, text, text),))
    for kind in (LOST, REGAINED):
        causes = [
            a_cause(kind, f"p{n}", **facts | {"permission_label": text, "mapping": "likely"}, notified_in=1)
            for n in range(number)
        ]
        yield composed(*causes, background=background).drafts[0].message
    for kind in (FAILED, RECOVERED):
        for credential_kind, grant in (
            ("harvest-key", None),
            ("harvest-oauth", "custom"),
            ("harvest-oauth", "partner"),
        ):
            causes = [
                a_cause(
                    kind,
                    credential_id=n,
                    credential_kind=credential_kind,
                    credential_grant=grant,
                    notified_in=1,
                    **facts,
                )
                for n in range(number)
            ]
            yield composed(*causes).drafts[0].message
    for kind in (FOUND, EventKind.NEWLY_REQUIRED, EventKind.EXCESS_FOUND):
        causes = [for_operator(kind, f"p{n}", f"t{n}", credential_id=n, **facts) for n in range(number)]
        yield composed(*causes).drafts[0].message
    for state in ("invalid", "blocked", "retired", "unreachable", "misconfigured"):
        yield (
            composed(*[for_operator(FAILED, None, f"t{n}", state=state, **facts) for n in range(number)])
            .drafts[0]
            .message
        )
    burst = [
        a_cause(LOST, "p", f"t{n}", credential_id=n, **facts | {"permission_label": text}) for n in range(number + 3)
    ]
    yield composed(*burst, checked=10).drafts[-1].message
    yield from (an_alarm(text, stops) for stops in ("all", "without_id"))
    for troubles in ([("blocked", number)], [("unreachable", number + 1), ("rate_limited", number)]):
        yield PauseMessage(
            tuple(troubles), number, number + 1, moment(NOW), moment(NOW), duration(MINUTE), duration(15 * MINUTE)
        )
    yield ResumeMessage(moment(NOW), moment(NOW + 15 * MINUTE), duration(15 * MINUTE))
    yield TemplateMessage(clean(text), clean(text), "1.0")
    yield from messages_about_retired_keys(text, number)
    for tried in (1, number, 0):
        failed = [FailedNotice(n, clean(text), clean(text), clean(text), is_tried=n < tried) for n in range(number)]
        yield FailedMessage(tuple(failed), number - 1)
