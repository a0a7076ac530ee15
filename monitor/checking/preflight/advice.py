"""What to ask the customer after a pre-flight: a sentence, and the boxes to tick as Greenhouse groups them. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby

from checks.catalogue.scopes import grouped
from checks.credential import CredentialKind, CredentialState
from checks.reasons import DETAILS
from checks.report import CheckReport, Finding, Outcome, Verdict
from checks.v3.verdicts import ROLE_ID
from monitor.notices.wording import counted
from monitor.tenants.file import Grant

_MENU = "Configure › Dev Center › API Credential Management"
WHERE: Mapping[CredentialKind, str] = {
    CredentialKind.HARVEST_KEY: f"{_MENU} › Manage Permissions",
    CredentialKind.HARVEST_OAUTH: f"{_MENU} › Manage scopes",
}
RECONNECT = "Connect the integration again as a Site Admin, and choose “Authorize using a service account”"


@dataclass(frozen=True, slots=True)
class Box:
    """`label` is as Greenhouse shows it; `likely` where it is only the best match."""

    label: str
    likely: bool = False


@dataclass(frozen=True, slots=True)
class BoxGroup:
    group: str
    boxes: tuple[Box, ...]


@dataclass(frozen=True, slots=True)
class Advice:
    """`where` is the menu at Greenhouse, or what to do instead of ticking; None if there is nothing to ask."""

    summary: str
    where: str | None = None
    tick: tuple[BoxGroup, ...] = ()


def advice(report: CheckReport, kind: CredentialKind, grant: Grant | None = None) -> Advice:
    if report.outcome is not Outcome.DRIFTED:
        return Advice(_summary(report))
    boxes = [finding for finding in report.missing if finding.permission_id != ROLE_ID]
    tick = _scopes(boxes) if kind is CredentialKind.HARVEST_OAUTH else _permissions(boxes)
    where = RECONNECT if grant is Grant.PARTNER else WHERE[kind] if tick else None
    return Advice(_what_lacks(report, sum(len(group.boxes) for group in tick)), where, tick)


def _summary(report: CheckReport) -> str:
    if report.paused or report.state is not CredentialState.OK:
        return f"{DETAILS.get(report.detail, report.detail).capitalize()}."
    undecided = report.counts[Verdict.UNDECIDED]
    if report.outcome is Outcome.UNDECIDED:
        words = "permission could" if undecided == 1 else "permissions could"
        return f"{undecided} {words} not be decided: check again in a few minutes."
    unchecked = f" {counted(report.unchecked, 'permission')} could not be checked." if report.unchecked else ""
    return f"The integration has everything that could be checked.{unchecked}"


def _what_lacks(report: CheckReport, boxes: int) -> str:
    sentences = []
    if boxes:
        lacks = "1 box is" if boxes == 1 else f"{boxes} boxes are"
        sentences.append(f"{lacks} not ticked that the integration needs: ask an admin of the customer's account.")
    if any(finding.permission_id == ROLE_ID for finding in report.missing):
        sentences.append("The token acts for a user who is not a Site Admin: ask for one that acts for a Site Admin.")
    return " ".join(sentences)


def _permissions(missing: Iterable[Finding]) -> tuple[BoxGroup, ...]:
    """In the order of the manifest, which is Greenhouse's."""
    groups = groupby(missing, key=lambda finding: finding.group)
    return tuple(BoxGroup(name, tuple(Box(one.label, one.mapping == "likely") for one in of)) for name, of in groups)


def _scopes(missing: Iterable[Finding]) -> tuple[BoxGroup, ...]:
    names = [name for finding in missing for name in finding.scopes]
    return tuple(BoxGroup(name, tuple(Box(one.title) for one in of)) for name, of in grouped(names).items())
