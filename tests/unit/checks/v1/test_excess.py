"""What a key may do beyond another vendor's manifest: every list that it may read, at one request each."""

from dataclasses import replace

import pytest

from checks.catalogue.endpoints import catalogue
from checks.catalogue.entry import RequestClass, WriteProbes
from checks.catalogue.offered import by_request
from checks.check_request import CheckRequest
from checks.manifest import Manifest, load
from checks.report import CheckReport, Outcome
from monitor.sandbox.sandbox import Sandbox
from tests.paths import FIXTURES
from tests.sandbox_check import check_key
from tests.sandbox_session import UNLIMITED, SandboxSession

LUMEN = load(str(FIXTURES / "manifests" / "lumen.yaml"))
LISTS = {e.endpoint for e in catalogue().probes.values() if e.request_class is RequestClass.LIST}
FEW = replace(LUMEN, permissions=LUMEN.permissions[:1])  # one list
NEEDED = {str(permission.endpoint) for permission in FEW.permissions}


@pytest.fixture
def customer() -> SandboxSession:
    sandbox = Sandbox()
    account = sandbox.add_account("acme", limit=UNLIMITED)
    return SandboxSession(sandbox, account, sandbox.add_key("acme", "all"))


def check(customer: SandboxSession, manifest: Manifest, **more: frozenset[str]) -> CheckReport:
    return check_key(customer, CheckRequest(manifest, **more), WriteProbes.OFF)


def test_every_list_that_a_key_may_read_and_need_not_is_excess_for_certain(customer: SandboxSession) -> None:
    """A key on which every box is ticked, under a manifest of one list; labels are those that the admin sees."""
    report = check(customer, FEW)
    assert report.outcome is Outcome.COMPLIANT
    assert {one.endpoint for one in report.excess if one.certain} == LISTS - NEEDED
    assert {one.label for one in report.excess} == {by_request()[one.endpoint].label for one in report.excess}
    assert report.requests == len(LISTS)


def test_a_key_that_may_do_no_more_has_no_excess_and_costs_one_request_for_each_list(customer: SandboxSession) -> None:
    """A refusal there is no verdict, so it is not asked for again; it is known to be no excess."""
    customer.key.tick_only("none")
    for endpoint in NEEDED:
        customer.key.tick(endpoint)
    report = check(customer, FEW)
    assert (report.outcome, report.excess) == (Outcome.COMPLIANT, ())
    assert report.no_excess == LISTS - NEEDED
    assert report.requests == len(LISTS)


def test_excess_that_was_refused_before_is_found(customer: SandboxSession) -> None:
    """It is asked again, as whatever says otherwise than what is known."""
    report = check(customer, FEW, remembered=frozenset({"GET /v1/offers"}))
    assert "GET /v1/offers" in {one.endpoint for one in report.excess}
    assert report.requests == len(LISTS) + 2


def test_a_check_of_suspects_asks_for_no_excess(customer: SandboxSession) -> None:
    """It is to decide them, and has no time for more."""
    report = check(customer, FEW, only=frozenset({FEW.permissions[0].id}))
    assert (report.excess, report.no_excess) == ((), frozenset())


def test_that_nothing_was_refused_is_said_as_the_doubt_it_is(customer: SandboxSession) -> None:
    """Whoever ticks every box leaves no refusal to tell by; one box less, and there is one."""
    gem = load("gem")
    assert check(customer, gem).nothing_refused
    customer.key.untick("GET /v1/jobs/{id}/hiring_team")
    assert not check(customer, gem).nothing_refused
    assert not check(customer, FEW).nothing_refused  # lists need none
