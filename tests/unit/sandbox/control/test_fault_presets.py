"""Weathers of the sandbox: what they bring, for whom, and what is left when they go."""

import re

import pytest
from pydantic import ValidationError

from monitor.errors import ConfigurationError
from monitor.sandbox.control.fault_presets import PresetRequest, activate, presets
from monitor.sandbox.faults.http import Fault, FaultKind
from monitor.sandbox.faults.mail import MailFault, MailFaultKind, MailStep
from monitor.sandbox.sandbox import Sandbox
from tests.paths import ROOT
from tests.sandbox_asking import Clock, asker

DOCUMENTATION = (ROOT / "docs" / "sandbox.md").read_text("utf-8")


def in_force(sandbox: Sandbox) -> list[tuple[str | None, str | None]]:
    """The weather and whom it is for, of everything that is in force on both sides."""
    boards = (sandbox.faults, sandbox.mailbox.faults)
    return [(each.preset, each.fault.only_for) for board in boards for each in board.active()]


@pytest.fixture
def sandbox() -> Sandbox:
    made = Sandbox(clock=Clock())
    for name in ("acme", "globex"):
        made.add_account(name)
    return made


@pytest.mark.parametrize(
    ("name", "status"),
    [("rate-limited", 429), ("blocked", 403), ("maintenance", 503), ("retired", 404), ("down", None), ("silent", None)],
)
def test_a_weather_is_met_by_whoever_it_is_for(name: str, status: int | None) -> None:
    """One account has it and the other has not; without a name everybody has, strangers too."""
    ask = asker()
    ask.sandbox.add_account("globex")
    activate(ask.sandbox, PresetRequest(name=name, account="globex"))
    ask.ask("GET /v1/jobs")
    assert ask.last().status == 200
    activate(ask.sandbox, PresetRequest(name=name))
    for key in (ask.key.text, "nobody's"):
        ask.key.text = key
        ask.ask("GET /v1/jobs")
        assert ask.last().status == status


def test_one_weather_follows_another_for_the_same(sandbox: Sandbox) -> None:
    """It takes the place of the one before for the same account, recipient or all, and of no other."""
    for wanted in (
        PresetRequest(name="blocked"),
        PresetRequest(name="slow", account="acme"),
        PresetRequest(name="mail-slow"),
        PresetRequest(name="down", account="acme"),
        PresetRequest(name="flaky"),
        PresetRequest(name="mail-rejecting", recipient="dana@vendor.example"),
    ):
        activate(sandbox, wanted)
    assert in_force(sandbox) == [
        ("down", "acme"),
        ("flaky", None),
        ("mail-rejecting", "dana@vendor.example"),
        ("mail-slow", None),
    ]


@pytest.mark.parametrize(
    ("clear", "left"),
    [
        (PresetRequest(name="clear"), [None, None]),
        (PresetRequest(name="clear", account="acme"), ["flaky", None, "mail-rejecting", "mail-slow", None]),
        (PresetRequest(name="clear", recipient="dana@vendor.example"), ["down", "flaky", None, "mail-slow", None]),
    ],
)
def test_clear_ends_weather_and_no_single_fault(sandbox: Sandbox, clear: PresetRequest, left: list[str | None]) -> None:
    """All weather, or that of one account or recipient; faults that came without a weather stay."""
    for name, whom in (("down", {"account": "acme"}), ("flaky", {}), ("mail-slow", {})):
        activate(sandbox, PresetRequest(name=name, **whom))
    activate(sandbox, PresetRequest(name="mail-rejecting", recipient="dana@vendor.example"))
    sandbox.add_fault(Fault(kind=FaultKind.HTML))
    sandbox.mailbox.faults.add(MailFault(kind=MailFaultKind.ANSWER))
    activate(sandbox, clear)
    assert [weather for weather, _ in in_force(sandbox)] == left


def test_a_weather_lasts_and_hits_as_it_is_told(sandbox: Sandbox) -> None:
    """Its seconds and its share are those of the call; the weather itself stays as it is for the next one."""
    activate(sandbox, PresetRequest(name="blocked", lasts=90, share=0.5))
    ((each),) = sandbox.faults.active()
    assert (each.fault.lasts, each.fault.share, each.fault.status) == (90, 0.5, 403)
    assert presets()["blocked"].fault.lasts is None


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"name": "hail"}, "there is no weather 'hail': use one of rate-limited, blocked"),
        ({"name": "blocked", "recipient": "a@b.example"}, "blocked is for Greenhouse: name an account"),
        ({"name": "mail-slow", "account": "acme"}, "mail-slow is for the mail server: name a recipient"),
        ({"name": "clear", "account": "acme", "recipient": "a@b.example"}, "not both"),
    ],
)
def test_a_weather_that_can_not_be_is_refused(wanted: dict[str, str], words: str) -> None:
    """An unknown name, and a name for the wrong side, in words."""
    with pytest.raises(ValidationError, match=re.escape(words)):
        PresetRequest.model_validate(wanted)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (PresetRequest(name="blocked", account="umbrella"), "there is no account 'umbrella'"),
        (PresetRequest(name="blocked", lasts=0), "weather blocked: lasts: Input should be greater than 0"),
        (PresetRequest(name="mail-refused", share=0.5), "refused is for all mails"),
    ],
)
def test_nothing_turns_where_a_weather_can_not_be_had(sandbox: Sandbox, wanted: PresetRequest, words: str) -> None:
    """What was in force before stays so."""
    activate(sandbox, PresetRequest(name="slow"))
    activate(sandbox, PresetRequest(name="mail-slow"))
    with pytest.raises(ConfigurationError, match=re.escape(words)):
        activate(sandbox, wanted)
    assert in_force(sandbox) == [("slow", None), ("mail-slow", None)]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"kind": "refused", "recipient": "a@b.example"}, "refused is for all mails"),
        ({"kind": "no_starttls", "times": 3}, "no_starttls is for all mails"),
        ({"kind": "answer", "step": "mail", "recipient": "a@b.example"}, "at mail no recipient is known yet"),
        ({"kind": "answer", "step": "login", "tries": 1}, "at login no recipient is known yet"),
        ({"kind": "answer", "text": "450 no\r\nMAIL FROM:<a@b>"}, "text"),
        ({"kind": "answer", "text": "nonsense"}, "text"),
        ({"kind": "slow", "step": "connect"}, "a greeting cannot be slow"),
    ],
)
def test_a_mail_fault_that_can_not_be_is_refused(fault: dict[str, str], words: str) -> None:
    """What no server could do, or could not do for one reader, is an error and not something else."""
    with pytest.raises(ValidationError, match=words):
        MailFault.model_validate(fault)


def test_the_documentation_names_every_weather_and_mail_fault() -> None:
    """Each with what it means, as the page says it, and no others; kinds and steps likewise."""
    told = dict(re.findall(r"^\| `([a-z-]+)` \| ([^|]+) \|$", DOCUMENTATION, re.M))
    assert told == {each.name: each.meaning for each in presets().values()}
    table = DOCUMENTATION.partition("## Mail faults\n")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `([a-z_]+)` \|", table, re.M) == [kind.value for kind in MailFaultKind]
    steps = table.partition("Steps:")[2].partition(".")[0]
    assert re.findall(r"`([a-z]+)`", steps) == [step.value for step in MailStep]
