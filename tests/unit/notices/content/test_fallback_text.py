"""The fallback text: every fact of any message, when its template cannot be used."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import DictLoader
from structlog.testing import capture_logs

from monitor.drift import EventKind
from monitor.notices.content.fallback_text import ABOUT, fallback_subject, fallback_text
from monitor.notices.content.messages import CsmMessage, Message
from monitor.notices.content.page_links import PageLinks
from monitor.notices.content.render import LONGEST_SUBJECT, Renderer
from monitor.notices.content.retired_message import RetiredMessage
from tests.messages import HOSTILE, LONG, UNICODE, an_alarm, messages_of_every_kind, with_templates
from tests.notices import a_cause, composed

LOST, REGAINED = EventKind.LOST, EventKind.REGAINED


def _text_facts(value: object) -> Iterator[str]:
    """Every text in a message, however deep."""
    if isinstance(value, str):
        yield value.replace("_", " ") if isinstance(value, EventKind) else value
    elif isinstance(value, tuple):
        for item in value:
            yield from _text_facts(item)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _text_facts(item)
    elif is_dataclass(value):
        for each in fields(value):
            yield from _text_facts(getattr(value, each.name))


@pytest.mark.parametrize("text", ["Acme", UNICODE, LONG, HOSTILE], ids=["plain", "unicode", "long", "hostile"])
@pytest.mark.parametrize("number", [1, 3, 60])
def test_every_fact_of_every_message_is_in_its_fallback_text(text: str, number: int) -> None:
    """Whatever the names contain: no fact is left out, no line is forged, and there is no link."""
    for message in messages_of_every_kind(text, number):
        subject, words = fallback_subject(message), fallback_text(message, PageLinks())
        assert [fact for fact in _text_facts(message) if fact not in words] == []
        assert subject
        assert "\n" not in subject
        assert not any(line.startswith("Bcc:") for line in words.splitlines())
        assert not any(mark in words for mark in "\r\x00\u2028\u202e")
        assert "None" not in words
        assert not re.search(r"https?:|mailto:", words.replace(HOSTILE, ""))
        assert words.endswith("\n")


@given(
    st.lists(
        st.tuples(st.sampled_from([LOST, REGAINED]), st.integers(1, 3), st.text(min_size=1, max_size=20)),
        min_size=1,
        max_size=12,
    )
)
def test_every_fact_of_any_causes_is_in_the_fallback_text(changes: list[tuple[EventKind, int, str]]) -> None:
    """Labels, groups, moments, tenant and credential, whatever happened to how many credentials."""
    causes = [
        a_cause(kind, f"{number} {label}", credential_id=credential, notified_in=1)
        for number, (kind, credential, label) in enumerate(changes)
    ]
    (message,) = [draft.message for draft in composed(*causes).drafts]
    words = fallback_text(message, PageLinks())
    assert [fact for fact in _text_facts(message) if fact not in words] == []


def test_every_kind_of_message_has_a_subject_of_its_own() -> None:
    """A new kind of message to the operator needs a line in ABOUT; those to a CSM name their customers."""
    to_csm = (CsmMessage, RetiredMessage)
    assert {kind.template for kind in get_args(Message) if kind not in to_csm} == set(ABOUT)
    assert fallback_subject(an_alarm()) == (
        "Action: write probes stopped: one got an answer that no probe should get: Acme"
    )


def test_a_csm_reads_of_one_tenant_and_what_to_ask_for() -> None:
    """Every permission as a box, the credential that fails, and no other tenant's name."""
    lost = [a_cause(LOST, label) for label in ("GET: List offers", "GET: Retrieve offer")]
    other = a_cause(LOST, "GET: List jobs", "globex", credential_id=2)
    drafts = composed(*lost, a_cause(EventKind.CREDENTIAL_FAILED), other).drafts
    (message,) = [draft.message for draft in drafts if draft.tenant_id == "acme"]
    subject, words = fallback_subject(message), fallback_text(message, PageLinks())
    assert subject == "Acme: Greenhouse access is missing"
    for said in (
        "Please ask an admin of Acme's Greenhouse account",
        "Configure › Dev Center › API Credential Management",
        "   [ ] GET: List offers\n   [ ] GET: Retrieve offer",
        "Gem Harvest API Key: make sure that it exists and is enabled",
        "Never send a key or a secret by e-mail.",
    ):
        assert said in words
    assert "globex" not in f"{subject} {words}".casefold()


def test_good_news_asks_for_nothing() -> None:
    """An email of recoveries only has nothing to ask the customer for."""
    (message,) = [draft.message for draft in composed(a_cause(REGAINED, "GET: List offers", notified_in=1)).drafts]
    assert fallback_subject(message) == "Acme: Greenhouse access is back"
    assert "Please ask" not in fallback_text(message, PageLinks())


def test_the_operator_gets_the_next_command() -> None:
    """The alarm is reported even without its template."""
    words = fallback_text(an_alarm(), PageLinks())
    for fact in ("Endpoint: POST /v1/candidates", "Status: 201", "Request id: req-1", "harvest-monitor writes status"):
        assert fact in words


@pytest.mark.parametrize(
    ("templates", "problem"),
    [
        ({"alarm.txt.j2": "{{ message.surname }}"}, "alarm.txt.j2, line 1: UndefinedError: "),
        ({"alarm.txt.j2": "\n{% if %}"}, "alarm.txt.j2, line 2: TemplateSyntaxError: "),
        ({"alarm.txt.j2": "{{ message.status / 0 }}"}, "alarm.txt.j2, line 1: ZeroDivisionError: "),
        ({"alarm.html.j2": "{% include 'away.j2' %}"}, "alarm.html.j2, line 1: TemplateNotFound: away.j2"),
        ({"alarm.subject.j2": "{# nothing #}"}, "TemplateError: a part of the email is empty"),
        ({"words.j2": ""}, "alarm.txt.j2, line "),  # what it imports is not there
    ],
)
def test_whatever_is_wrong_with_a_template_the_email_goes_out(
    tmp_path: Path, templates: dict[str, str], problem: str
) -> None:
    """A missing name, a slip, an error of any kind: the fallback text, without a page, and an error in the log."""
    with capture_logs() as lines:
        rendered = with_templates(tmp_path, templates).render(an_alarm())
    subject, text = fallback_subject(an_alarm()), fallback_text(an_alarm(), PageLinks())
    assert (rendered.subject, rendered.text, rendered.html) == (subject, text, "")
    assert rendered.problem.startswith(problem)
    assert [(line["event"], line["log_level"], line["template"]) for line in lines] == [
        ("template_broken", "error", "alarm")
    ]


def test_an_installation_without_templates_still_writes() -> None:
    """All of them gone: every email is fallback text, with a subject of legal length, and each is counted."""
    fell_back: list[bool] = []
    renderer = Renderer(lambda: fell_back.append(True))
    renderer.environment.loader = DictLoader({})
    messages = list(messages_of_every_kind(LONG, 3))
    for message in messages:
        rendered = renderer.render(message)
        assert "TemplateNotFound" in rendered.problem
        assert 0 < len(rendered.subject) <= LONGEST_SUBJECT
    assert len(fell_back) == len(messages)


def test_a_template_that_works_needs_no_fallback_text() -> None:
    """Nothing is flagged if nothing is wrong."""
    assert {Renderer().render(message).problem for message in messages_of_every_kind("Acme", 1)} == {""}
