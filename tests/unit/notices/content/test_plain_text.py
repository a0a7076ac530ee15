"""The plain form of every mail, and when it stands in for a template."""

import re
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import DictLoader
from structlog.testing import capture_logs

from monitor.drift import EventKind
from monitor.notices.content.messages import CsmMessage, Message
from monitor.notices.content.plain_text import HEADLINES, plain
from monitor.notices.content.render import LONGEST_SUBJECT, Renderer
from monitor.notices.content.retired_message import RetiredMessage
from tests.letters import HOSTILE, LONG, UNICODE, an_alarm, letters_of_every_kind, with_templates
from tests.notices import a_cause, composed, for_operator

LOST, REGAINED = EventKind.LOST, EventKind.REGAINED
RULER = "-" * 60


@pytest.mark.parametrize("text", ["Acme", UNICODE, LONG, HOSTILE], ids=["plain", "unicode", "long", "hostile"])
@pytest.mark.parametrize("number", [1, 3, 60])
def test_every_letter_has_a_plain_form(text: str, number: int) -> None:
    """Whatever the names hold, subject and text can be made, forge no line, and carry no link."""
    for letter in letters_of_every_kind(text, number):
        subject, words = plain(letter)
        assert subject
        assert "\n" not in subject
        assert not any(line.startswith("Bcc:") for line in words.splitlines())
        assert not any(mark in words for mark in "\r\x00\u2028\u202e")
        assert "None" not in words
        assert not re.search(r"https?:|mailto:", words.replace(HOSTILE, ""))
        assert words.endswith("\n")


def test_every_kind_of_letter_is_thought_of() -> None:
    """A new kind of letter to the operator needs its headline; those to a CSM have a form of their own."""
    to_csm = (CsmMessage, RetiredMessage)
    assert {kind.template for kind in get_args(Message) if kind not in to_csm} == set(HEADLINES)


@given(
    st.lists(
        st.tuples(st.sampled_from([LOST, REGAINED]), st.integers(1, 3), st.text(min_size=1, max_size=20)),
        min_size=1,
        max_size=12,
    )
)
def test_the_plain_form_tells_what_the_template_tells(turns: list[tuple[EventKind, int, str]]) -> None:
    """Every permission, group and moment of the mail stands in its plain form, too."""
    causes = [
        a_cause(kind, f"{number} {label}", credential_id=credential, told_by=1)
        for number, (kind, credential, label) in enumerate(turns)
    ]
    (letter,) = [draft.letter for draft in composed(*causes).drafts]
    assert isinstance(letter, CsmMessage)
    _, words = plain(letter)
    for credential in letter.credentials:
        for listing in credential.listings.values():
            assert all(permission.label in words for permission in listing.permissions)
            assert all(at in words for _, at in listing.window)


def test_the_plain_mail_to_a_csm_can_be_forwarded() -> None:
    """One customer, who it is for, what broke, the boxes to tick, and nothing of ours in the part to forward."""
    lost = [a_cause(LOST, label, permission_group="Offers") for label in ("GET: List offers", "GET: Retrieve offer")]
    (letter,) = [draft.letter for draft in composed(*lost, a_cause(EventKind.CREDENTIAL_FAILED)).drafts]
    subject, words = plain(letter)
    assert subject == "Acme: Greenhouse: 1 credential no longer accepted, 2 permissions missing"
    assert words.startswith("Hello Dana Reyes,\n\nGreenhouse no longer accepts the Greenhouse credential “Gem Harvest")
    request = words.split(RULER)[1]
    for said in (
        "“Gem Harvest API Key” in the Greenhouse account of Acme",
        "Configure › Dev Center › API Credential Management",
        "   [ ] GET: List offers\n   [ ] GET: Retrieve offer",
        "never send a key or a secret by e-mail",
        "“Can manage ALL organization's API Credentials”",
    ):
        assert said in request
    assert "Dana" not in request
    assert "Monitor" not in request


def test_a_plain_mail_that_asks_for_nothing_says_so() -> None:
    """Good news holds nothing to forward."""
    (letter,) = [draft.letter for draft in composed(a_cause(REGAINED, "GET: List offers", told_by=1)).drafts]
    _, words = plain(letter)
    assert "There is nothing you need to do about this." in words
    assert RULER not in words


def test_the_plain_mail_to_the_operator_has_the_facts_and_a_command() -> None:
    """The alarm is told whatever becomes of its template."""
    subject, words = plain(an_alarm())
    assert subject == "Harvest Monitor: write probes are stopped: one was answered as none should be"
    for fact in (
        "Endpoint: POST /v1/candidates",
        "Status: 201",
        "Request id: req-1",
        "Record id: none was given",
        "harvest-monitor writes status",
        "template_broken",
    ):
        assert fact in words
    (digest,) = [draft.letter for draft in composed(for_operator(EventKind.FOUND, "GET: List jobs")).drafts]
    assert "  - Acme (acme): 1 permission missing at the first look" in plain(digest)[1]


@pytest.mark.parametrize(
    ("templates", "problem"),
    [
        ({"alarm.txt.j2": "{{ letter.surname }}"}, "alarm.txt.j2, line 1: UndefinedError: "),
        ({"alarm.txt.j2": "\n{% if %}"}, "alarm.txt.j2, line 2: TemplateSyntaxError: "),
        ({"alarm.txt.j2": "{{ letter.status / 0 }}"}, "alarm.txt.j2, line 1: ZeroDivisionError: "),
        ({"alarm.html.j2": "{% include 'away.j2' %}"}, "alarm.html.j2, line 1: TemplateNotFound: away.j2"),
        ({"alarm.subject.j2": "{# nothing #}"}, "TemplateError: a part of the mail came out empty"),
        ({"words.j2": ""}, "alarm.txt.j2, line "),  # what it imports is not there
    ],
)
def test_whatever_is_wrong_with_a_template_the_mail_goes_out(
    tmp_path: Path, templates: dict[str, str], problem: str
) -> None:
    """A missing name, a slip, an error of any kind: the plain form, without a page, and an error in the log."""
    with capture_logs() as lines:
        words = with_templates(tmp_path, templates).render(an_alarm())
    assert (words.subject, words.text, words.html) == (*plain(an_alarm()), "")
    assert words.problem.startswith(problem)
    assert [(line["event"], line["log_level"], line["template"]) for line in lines] == [
        ("template_broken", "error", "alarm")
    ]


def test_an_installation_without_templates_still_writes() -> None:
    """All of them gone: every mail has its plain form, with a subject that fits, and each is counted."""
    told: list[bool] = []
    renderer = Renderer(lambda: told.append(True))
    renderer.environment.loader = DictLoader({})
    letters = list(letters_of_every_kind(LONG, 3))
    for letter in letters:
        words = renderer.render(letter)
        assert "TemplateNotFound" in words.problem
        assert 0 < len(words.subject) <= LONGEST_SUBJECT
    assert len(told) == len(letters)


def test_a_template_that_works_needs_no_plain_form() -> None:
    """Nothing is flagged where nothing is wrong."""
    assert [Renderer().render(letter).problem for letter in letters_of_every_kind("Acme", 1)] == [""] * len(
        list(letters_of_every_kind("Acme", 1))
    )
