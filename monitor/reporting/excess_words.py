"""What a credential may do beyond the manifest, in words: what is certain, what is likely, what is a guess. Pure."""

from collections.abc import Iterable, Iterator, Sequence

from checks.report import Excess, Verdict
from checks.v1.verdicts import KeyRule
from monitor.drift import KnownExcess, KnownPermission

MAY_HOLD_EVERYTHING = "perhaps holds every permission: nothing was refused, not even what the manifest does not ask for"
_SHOWN = 10


def sentences(excess: Iterable[Excess | KnownExcess]) -> Iterator[str]:
    """One for what is certain and one for what is likely, each with the first ten."""
    found = list(excess)
    for certain, how in ((True, "for certain"), (False, "likely")):
        labels = [one.label for one in found if one.certain is certain]
        if labels:
            yield f"holds more than the manifest asks for: {len(labels)} {how}: {_listed(labels)}"


def may_hold_everything(permissions: Iterable[KnownPermission]) -> bool:
    """By what is stored: something was past the permission check, and nothing is known to be refused.

    What is granted by anything but a list's data rests on a refusal.
    """
    known = list(permissions)
    now = [one for one in known if one.undecided_as is None]
    refused = any(one.missing or one.suspect for one in known) or any(
        one.verdict is Verdict.GRANTED and one.rule != KeyRule.GRANTED_DATA.number for one in now
    )
    return not refused and any(one.undecided_reason == "no_refusal" for one in known)


def _listed(labels: Sequence[str]) -> str:
    more = len(labels) - _SHOWN
    return ", ".join(labels[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
