"""The judge of the fault matrix finds what it is there to find."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from tests.faults.evidence import Findings, Stored, judge
from tests.faults.post import Mail
from tests.faults.script import Turner, csm_of

Rows = list[Any]


@dataclass
class Found:
    """What is found after acme lost a permission and got it back, and all went well."""

    turner: Turner
    stored: Stored
    mails: list[Mail]

    def judge(self) -> Findings:
        return judge([self.turner], self.stored, self.mails)


def _event(kind: str) -> Any:
    return SimpleNamespace(kind=kind, tenant_id="acme", credential_id=1, permission_id="offers", state=None)


@pytest.fixture
def found() -> Found:
    turner = Turner("acme", key=None, endpoint="GET /v1/offers", rng=Random(1))  # type: ignore[arg-type]
    turner.turns += ["lost", "regained"]
    notices = [SimpleNamespace(id=n, message_id=f"<{n}>", status="sent") for n in (1, 2)]
    causes = [SimpleNamespace(id=n, settled_at="then") for n in (1, 2)]
    credential = SimpleNamespace(tenant_id="acme", state="ok", suspect_state=None, missing=0, suspects=0)
    mails = [Mail(csm_of("acme"), "<1>", "Acme: missing: Offers"), Mail(csm_of("acme"), "<2>", "Acme: is back: Offers")]
    stored = Stored([_event("lost"), _event("regained")], causes, notices, [credential], [])  # type: ignore[arg-type]
    return Found(turner, stored, mails)


def _lose(rows: Callable[[Found], Rows]) -> Callable[[Found], object]:
    return lambda found: rows(found).pop(0)


def _set(row: Callable[[Found], Any], **values: object) -> Callable[[Found], object]:
    return lambda found: row(found).__dict__.update(values)


def test_nothing_is_found_where_all_went_well(found: Found) -> None:
    """Two turns, two events, two mails."""
    assert (found.judge().turns, found.judge().fatal, found.judge().mails_doubled) == (2, [], 0)


def test_a_mail_that_came_twice_is_counted_and_is_no_loss(found: Found) -> None:
    """The same Message-ID is the same mail."""
    found.mails.append(found.mails[0])
    assert (found.judge().fatal, found.judge().mails_doubled) == ([], 1)


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (_lose(lambda f: f.stored.events), "acme: no event lost"),
        (lambda f: f.stored.events.append(_event("lost")), "acme: one event lost too many"),
        (lambda f: f.stored.events.reverse(), "acme: events out of order"),
        (lambda f: f.stored.events.insert(0, _event("lost")), "acme offers: lost None after lost None"),
        (_lose(lambda f: f.mails), "acme: regained was not told"),
        (_lose(lambda f: f.mails), "notice 1 is marked as sent, and was not"),
        (lambda f: f.mails.reverse(), "acme: lost was told as 'Acme: is back: Offers'"),
        (_lose(lambda f: f.stored.notices), "a mail of no notice: <1>"),
        (_set(lambda f: f.stored.notices[0], status="pending"), "notice 1 is pending"),
        (_set(lambda f: f.stored.causes[0], settled_at=None), "cause 1 is not settled"),
        (_set(lambda f: f.stored.credentials[0], missing=1), "acme: in doubt, and nothing is wrong"),
        (
            lambda f: f.stored.open_incidents.append(SimpleNamespace(tenant_id="acme")),
            "acme: its incident is open, and nothing is wrong",
        ),
    ],
)
def test_what_is_not_as_it_must_be_is_found(found: Found, harm: Callable[[Found], object], said: str) -> None:
    """An event or a mail that is not there, or too many, or in doubt for good."""
    harm(found)
    assert said in found.judge().fatal
