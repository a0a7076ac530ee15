"""Fault presets of the sandbox: what they activate, for which account or recipient, and what stays when they end."""

import re

import pytest
from pydantic import ValidationError

from monitor.errors import ConfigurationError
from monitor.sandbox.control.fault_presets import PresetRequest, activate, presets
from monitor.sandbox.faults.http import Fault, FaultKind
from monitor.sandbox.faults.mail import MailFault, MailFaultKind, MailStep
from monitor.sandbox.sandbox import Sandbox
from tests.paths import ROOT
from tests.sandbox_session import Clock, sandbox_session

DOCUMENTATION = (ROOT / "docs" / "sandbox.md").read_text("utf-8")


def active(sandbox: Sandbox) -> list[tuple[str | None, str | None]]:
    """The preset of each active fault on both sides, and the account or recipient it is limited to."""
    sides = (sandbox.faults, sandbox.mailbox.faults)
    return [(each.preset, each.fault.only_for) for side in sides for each in side.active()]


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
def test_a_preset_hits_one_account_or_everybody(name: str, status: int | None) -> None:
    """One account gets it and the other does not; without a name everybody gets it, strangers too."""
    session = sandbox_session()
    session.sandbox.add_account("globex")
    activate(session.sandbox, PresetRequest(name=name, account="globex"))
    session.send("GET /v1/jobs")
    assert session.last().status == 200
    activate(session.sandbox, PresetRequest(name=name))
    for key in (session.key.text, "nobody's"):
        session.key.text = key
        session.send("GET /v1/jobs")
        assert session.last().status == status


def test_a_preset_replaces_the_one_before(sandbox: Sandbox) -> None:
    """For the same account, recipient or all, and for no other."""
    for wanted in (
        PresetRequest(name="blocked"),
        PresetRequest(name="slow", account="acme"),
        PresetRequest(name="mail-slow"),
        PresetRequest(name="down", account="acme"),
        PresetRequest(name="flaky"),
        PresetRequest(name="mail-rejecting", recipient="dana@vendor.example"),
    ):
        activate(sandbox, wanted)
    assert active(sandbox) == [
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
def test_clear_ends_presets_and_no_single_fault(sandbox: Sandbox, clear: PresetRequest, left: list[str | None]) -> None:
    """All presets, or those for one account or recipient; faults that belong to no preset stay."""
    for name, whom in (("down", {"account": "acme"}), ("flaky", {}), ("mail-slow", {})):
        activate(sandbox, PresetRequest(name=name, **whom))
    activate(sandbox, PresetRequest(name="mail-rejecting", recipient="dana@vendor.example"))
    sandbox.add_fault(Fault(kind=FaultKind.HTML))
    sandbox.mailbox.faults.add(MailFault(kind=MailFaultKind.ANSWER))
    activate(sandbox, clear)
    assert [preset for preset, _ in active(sandbox)] == left


def test_a_request_sets_time_and_share_of_a_preset(sandbox: Sandbox) -> None:
    """For this activation only; the preset itself does not change."""
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
def test_an_impossible_preset_request_is_refused(wanted: dict[str, str], words: str) -> None:
    """An unknown name, or a name for the wrong side; the message says what to do."""
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
def test_a_refused_preset_changes_nothing(sandbox: Sandbox, wanted: PresetRequest, words: str) -> None:
    """The faults that were active before stay active."""
    activate(sandbox, PresetRequest(name="slow"))
    activate(sandbox, PresetRequest(name="mail-slow"))
    with pytest.raises(ConfigurationError, match=re.escape(words)):
        activate(sandbox, wanted)
    assert active(sandbox) == [("slow", None), ("mail-slow", None)]


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
def test_an_impossible_mail_fault_is_refused(fault: dict[str, str], words: str) -> None:
    """What no server could do, or could not do for one recipient, is an error."""
    with pytest.raises(ValidationError, match=words):
        MailFault.model_validate(fault)


def test_the_documentation_names_every_preset_and_mail_fault() -> None:
    """Each with its meaning as in the file, and no others; so with kinds and steps."""
    documented = dict(re.findall(r"^\| `([a-z-]+)` \| ([^|]+) \|$", DOCUMENTATION, re.M))
    assert documented == {each.name: each.meaning for each in presets().values()}
    table = DOCUMENTATION.partition("## Mail faults\n")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `([a-z_]+)` \|", table, re.M) == [kind.value for kind in MailFaultKind]
    steps = table.partition("Steps:")[2].partition(".")[0]
    assert re.findall(r"`([a-z]+)`", steps) == [step.value for step in MailStep]
