"""Declined permissions are named by id or label."""

from checks.manifest import load
from checks.v3.verdicts import ROLE_ID
from monitor.tenants.declined import declined_ids, why_unknown


def test_ids_and_labels_name_a_permission() -> None:
    """Names that are not in the manifest are left out."""
    gem = load("gem")

    by_label = declined_ids(["PUT: Merge two candidates", "Merge"], gem)

    (declined,) = by_label
    assert gem.permission(declined).label == "PUT: Merge two candidates"
    assert declined_ids([declined], gem) == by_label


def test_the_role_of_a_v3_credential_can_be_declined() -> None:
    """It is in no manifest, and is still a valid name."""
    gem = load("gem")

    assert declined_ids([ROLE_ID], gem) == {ROLE_ID}
    assert why_unknown(ROLE_ID, [gem]) is None
