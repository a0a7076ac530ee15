"""What a tenant's page offers to send to the customer: from what is missing now, whatever was so before."""

import pytest

from checks.credential import CredentialState
from checks.manifest import load
from monitor.notices.content.customer_request import MissingPermission, PresentTrouble, customer_request
from monitor.notices.content.render import Renderer
from monitor.notices.content.successor import CredentialNeeds, successor_boxes
from monitor.notices.content.vendor import Vendor

OK, INVALID = CredentialState.OK, CredentialState.INVALID
OFFERS = MissingPermission(
    "offers.list_offers", "Offers", "GET: List offers", scopes=("harvest:offers:list",), effect="list offers"
)
RENDERER = Renderer(vendor=Vendor("Gem"))


def a_trouble(
    state: CredentialState = OK, grant: str | None = None, may_forward: bool = True, **facts: object
) -> PresentTrouble:
    kind = "harvest-key" if grant is None else "harvest-oauth"
    missing = [OFFERS] if state is OK else []
    return PresentTrouble("Gem", kind, grant, state, "", missing, may_forward=may_forward, **facts)  # type: ignore[arg-type]


def test_what_is_missing_is_asked_for_as_the_csm_signs_it() -> None:
    """Nothing says that it was lost: it may never have been granted."""
    asked = customer_request("Acme", [a_trouble()], "Dana Reyes")
    assert asked is not None
    text = RENDERER.request(asked)
    assert "Gem cannot list offers in your Greenhouse account (Acme)" in text
    assert text.endswith("Thank you,\nDana Reyes (Gem)\n")
    assert not any(word in text for word in ("lost", "no longer", "removed"))


@pytest.mark.parametrize(("may_forward", "offered"), [(True, True), (False, False)])
def test_a_derived_list_is_offered_only_once_it_is_accepted(may_forward: bool, offered: bool) -> None:
    """On the page as in an email."""
    assert (customer_request("Acme", [a_trouble(grant="custom", may_forward=may_forward)]) is not None) is offered


def test_a_refused_client_is_asked_for_without_a_list_that_nobody_accepted() -> None:
    """The customer can look whether it is there; which boxes a new one needs is left out."""
    gem = load("gem")
    for accepted, boxes in ((frozenset({gem.digest}), 37), (frozenset[str](), 0)):
        successor = successor_boxes(CredentialNeeds(None, (), ()), lambda _: gem, accepted)
        asked = customer_request("Acme", [a_trouble(INVALID, "custom", may_forward=False, successor=successor)])
        assert asked is not None
        assert RENDERER.request(asked).count("[ ]") == boxes
