"""What a compliance report says on top, what can be sent to the customer, and how it is counted. Pure."""

from collections.abc import Mapping
from datetime import datetime

from checks.credential import CredentialState
from monitor.notices.wording import counted
from monitor.reporting.amounts import length, percent
from monitor.reporting.compliance import Covered, Ending, Loss, LossFigures, Report, TenantReport
from monitor.reporting.sentence import Name, Sentence, say

MOST_NAMED = 5
HOW_IT_IS_COUNTED = (
    "The share is the time with every required permission (healthy) out of the time that was decided (healthy, drifted "
    "or failing, whoever's fault that is); undecided, new and paused time counts as neither and stands apart.",
    "A loss counts from the check that confirmed it to the check that saw it restored, and so does the time; it can "
    "have happened earlier, by no more than the time to detect, which begins with the last check that saw all well.",
    "A repair counts in the period in which it was seen, whenever the loss was, and what was open at the end is as old "
    "as it was then.",
    "Declined is what the tenants file says now: it is no loss from the day that it names, or from the beginning if it "
    "names none.",
)
_TROUBLES: Mapping[str, str] = {
    CredentialState.INVALID: "rejected by Greenhouse",
    CredentialState.BLOCKED: "every request refused",
    CredentialState.RETIRED: "its API was retired",
    CredentialState.UNREACHABLE: "no usable answer",
    CredentialState.MISCONFIGURED: "its secret or its row in the tenants file was wrong",
}
ENDINGS = {
    Ending.OPEN: "not restored",
    Ending.RESTORED: "restored",
    Ending.DECLINED: "declined on purpose",
    Ending.CLOSED: "no longer required or checked",
}


def finding(report: Report) -> Sentence:
    """Of all tenants."""
    when = _when(report.covered)
    if report.times.share is None:
        return say(f"{_capital(when)}, nothing was decided: no tenant was healthy, drifted or failing.")
    tenants = counted(report.counting, "tenant")
    had = f"{_capital(when)}, {tenants} had every required permission {percent(report.times.share)} of the time. "
    if not report.losing:
        return say(f"{had}None lost a permission or its credential{_open(report.covered, report.figures)}.")
    their = "a permission or its credential" if report.losing == 1 else "a permission or their credential"
    return say(had, report.losing, f" lost {their}; {_ended(report.covered, report.figures)}.")


def tenant_finding(report: TenantReport) -> Sentence:
    when, tenant = _when(report.covered), report.tenant
    if not tenant.times.there:
        return say(Name(tenant.name), f" was not there {when}.")
    if tenant.times.share is None:
        return say(Name(tenant.name), f" has no share {when}: it was undecided, new or paused all the time.")
    had = f" had every required permission {percent(tenant.times.share)} of the time {when}. "
    if not tenant.figures.lost:
        return say(Name(tenant.name), f"{had}It lost nothing{_open(report.covered, tenant.figures)}.")
    lost = f"It lost {_what(tenant.figures)}; {_ended(report.covered, tenant.figures)}."
    return say(Name(tenant.name), had, lost)


def for_the_customer(report: TenantReport) -> str | None:
    """To be sent as it is; None where there is nothing to say."""
    tenant, share = report.tenant, report.tenant.times.share
    if share is None:
        return None
    sentences = [
        f"{_capital(_when(report.covered))}, our integration had every permission that it needs at {tenant.name} for "
        f"{percent(share)} of the time."
    ]
    if tenant.figures.lost:
        sentences.append(f"It lost {_what(tenant.figures)}.")
    if tenant.figures.restored.number:
        sentences.append(f"{_capital(_repairs(tenant.figures))}.")
    missing = [loss for loss in report.losses if loss.ending is Ending.OPEN]
    if missing:
        names = [label(loss) for loss in missing[:MOST_NAMED]]
        more = f", and {len(missing) - MOST_NAMED:,} more" if len(missing) > MOST_NAMED else ""
        sentences.append(f"Not restored: {'; '.join(names)}{more}.")
    return " ".join(sentences)


def notes(covered: Covered) -> list[str]:
    """What limits this report."""
    said = ["Months and days are those of UTC, and shares are rounded down."]
    if covered.begins_late:
        said.append(
            f"Statuses are recorded since {_moment(covered.recorded_since)}: nothing is said about the time before."
        )
    if covered.is_running:
        said.append(f"The period is not over: the report ends {_moment(covered.span.end)}.")
    return said


def label(loss: Loss) -> str:
    """The permission as Greenhouse writes it, or the credential with what was wrong."""
    begun = loss.begun
    if begun.permission_id is not None:
        return begun.permission_label or begun.permission_id
    return f"{begun.credential_label}: {_TROUBLES.get(begun.state or '', 'failing')}"


def _when(covered: Covered) -> str:
    return f"in {covered.period.title}{' so far' if covered.is_running else ''}"


def _what(figures: LossFigures) -> str:
    permissions = counted(figures.permissions, "permission") if figures.permissions else ""
    credentials = f"its credential {_times(figures.credentials)}" if figures.credentials else ""
    return " and ".join(filter(None, [permissions, credentials]))


def _times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number:,} times")


def _ended(covered: Covered, figures: LossFigures) -> str:
    return f"{_repairs(figures)}{_open(covered, figures)}"


def _repairs(figures: LossFigures) -> str:
    mean, number = figures.restored.mean, figures.restored.number
    if mean is None:
        return "none of it was repaired"
    if number == 1:
        return f"1 loss was repaired, after {length(mean)}"
    return f"{number:,} losses were repaired, after {length(mean)} on average"


def _open(covered: Covered, figures: LossFigures) -> str:
    number = figures.still_open.number
    if not number:
        return ""
    if covered.is_running:
        return f", and {number:,} {'is' if number == 1 else 'are'} still open"
    return f", and {number:,} {'was' if number == 1 else 'were'} open at the end"


def _moment(at: datetime) -> str:
    return f"{at.day} {at:%B %Y, %H:%M} UTC"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
