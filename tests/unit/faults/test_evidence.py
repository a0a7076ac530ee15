"""The fault matrix notices every kind of loss and disorder."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from tests.faults.evidence import Findings, Stored, judge
from tests.faults.mail_server import Mail
from tests.faults.script import ChangingCustomer, csm_of

Rows = list[Any]


@dataclass
class Found:
    """A correct result after acme lost a permission and got it back."""

    customer: ChangingCustomer
    stored: Stored
    mails: list[Mail]

    def judge(self) -> Findings:
        return judge([self.customer], self.stored, self.mails)


def _event(kind: str) -> Any:
    return SimpleNamespace(kind=kind, tenant_id="acme", credential_id=1, permission_id="offers", state=None)


@pytest.fixture
def found() -> Found:
    customer = ChangingCustomer("acme", key=None, endpoint="GET /v1/offers", rng=Random(1))  # type: ignore[arg-type]
    customer.changes += ["lost", "regained"]
    notices = [SimpleNamespace(id=n, message_id=f"<{n}>", status="sent") for n in (1, 2)]
    causes = [SimpleNamespace(id=n, settled_at="then") for n in (1, 2)]
    credential = SimpleNamespace(tenant_id="acme", state="ok", suspect_state=None, missing=0, suspects=0)
    mails = [
        Mail(csm_of("acme"), "<1>", "Acme: missing: Offers"),
        Mail(csm_of("acme"), "<2>", "Acme: restored: Offers"),
    ]
    stored = Stored([_event("lost"), _event("regained")], causes, notices, [credential], [])  # type: ignore[arg-type]
    return Found(customer, stored, mails)


def _lose(rows: Callable[[Found], Rows]) -> Callable[[Found], object]:
    return lambda found: rows(found).pop(0)


def _set(row: Callable[[Found], Any], **values: object) -> Callable[[Found], object]:
    return lambda found: row(found).__dict__.update(values)


def test_a_correct_result_has_no_findings(found: Found) -> None:
    """Two changes, two events, two mails."""
    assert (found.judge().changes, found.judge().fatal, found.judge().mails_doubled) == (2, [], 0)


def test_a_mail_that_came_twice_is_counted_and_is_no_loss(found: Found) -> None:
    """The same Message-ID is the same mail."""
    found.mails.append(found.mails[0])
    assert (found.judge().fatal, found.judge().mails_doubled) == ([], 1)


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (_lose(lambda f: f.stored.events), "acme: no event lost"),
        (lambda f: f.stored.events.append(_event("lost")), "acme: one event lost too many"),
        (lambda f: f.stored.events.reverse(), "acme: events out of order"),
        (lambda f: f.stored.events.insert(0, _event("lost")), "acme offers: lost None after lost None"),
        (_lose(lambda f: f.mails), "acme: regained was not reported"),
        (_lose(lambda f: f.mails), "notice 1 is marked as sent, but was not"),
        (lambda f: f.mails.reverse(), "acme: lost was reported as 'Acme: restored: Offers'"),
        (_lose(lambda f: f.stored.notices), "a mail without a notice: <1>"),
        (_set(lambda f: f.stored.notices[0], status="pending"), "notice 1 is pending"),
        (_set(lambda f: f.stored.causes[0], settled_at=None), "cause 1 is not settled"),
        (_set(lambda f: f.stored.credentials[0], missing=1), "acme: its state is not ok, but nothing is wrong"),
        (
            lambda f: f.stored.open_incidents.append(SimpleNamespace(tenant_id="acme")),
            "acme: its incident is open, but nothing is wrong",
        ),
    ],
)
def test_every_disorder_is_found(found: Found, harm: Callable[[Found], object], message: str) -> None:
    """An event or a mail that is missing or one too many, and a state that stays wrong."""
    harm(found)
    assert message in found.judge().fatal
