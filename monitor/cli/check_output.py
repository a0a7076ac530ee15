"""What `check` shows people: progress while it works, and the result in words."""

from collections import Counter
from collections.abc import Iterable

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from checks.credential import CredentialState
from checks.reasons import DETAILS, REASONS, advice
from checks.report import CheckReport, Finding, Verdict
from monitor.checking.check_document import Checked
from monitor.checking.check_runner import Result
from monitor.checking.credential_check import CheckTask
from monitor.cli.console import print_text
from monitor.cli.state_colours import STYLES
from monitor.notices.wording import counted
from monitor.reporting.excess_words import MAY_HOLD_EVERYTHING, sentences


class LiveProgress:
    """On a terminal one bar that fills up; in a pipe a line for each credential that is done. On stderr, both."""

    def __init__(self, total: int) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._done = 0
        self._total = total
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._line = self._bar.add_task("checking", total=total)

    def __enter__(self) -> "LiveProgress":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def began(self, task: CheckTask) -> None:
        self._bar.update(self._line, description=self._words(task.tenant_id))

    def waits(self, task: CheckTask, seconds: float) -> None:
        self._bar.update(self._line, description=self._words(f"{task.tenant_id}: second check in {seconds:.0f} s"))

    def ended(self, task: CheckTask, result: Result) -> None:
        self._done += 1
        self._bar.update(self._line, completed=self._done, description=self._words(task.tenant_id))
        if not self._console.is_terminal:
            outcome = result.checked.report.outcome
            self._console.print(f"{self._done}/{self._total} {escape(task.tenant_id)}: {outcome}", markup=False)

    @staticmethod
    def _words(text: str) -> str:
        return f"checking: {escape(text)}"


def show(results: Iterable[Checked]) -> None:
    for result in results:
        for line in lines(result):
            print_text(Text.from_markup(line))


def lines(result: Checked) -> list[str]:
    """One credential's result as lines with rich markup."""
    report = result.report
    colour = STYLES[report.outcome]
    who = f"[bold]{escape(result.tenant_id)}[/] · {escape(result.label)}"
    shown = [f"{who}: [{colour}]{report.outcome}[/] ({_tally(report)})"]
    if report.state is not CredentialState.OK and report.detail != "misconfigured":
        shown.append(f"  {report.state}: {escape(_why(report))}")
    shown += [_missing_line(finding) for finding in report.missing]
    if report.provisional and report.missing:
        shown.append(
            f"  [dim]by a derived list of scopes: harvest-monitor manifest show --v3 {report.manifest_name}[/]"
        )
    shown += _undecided_lines(report)
    shown += [f"  {escape(sentence)}" for sentence in sentences(report.excess)]
    if report.nothing_refused:
        shown.append(f"  {MAY_HOLD_EVERYTHING}")
    return shown


def _why(report: CheckReport) -> str:
    if report.connection_failure:
        return ": ".join(filter(None, (report.connection_failure, advice(report.detail))))
    return DETAILS.get(report.detail, report.detail)


def _missing_line(finding: Finding) -> str:
    likely = " (mapping likely)" if finding.mapping else ""
    scopes = f" ({', '.join(finding.scopes)})" if finding.endpoint is None and finding.scopes else ""
    return f"  [red]missing[/] {escape(finding.group)} › {escape(finding.label)}{likely}{scopes}"


def _undecided_lines(report: CheckReport) -> list[str]:
    if report.state is not CredentialState.OK:
        return []
    reasons = Counter(f.reason for f in report.findings if f.verdict is Verdict.UNDECIDED)
    return [f"  [yellow]undecided[/] {count}: {REASONS[reason]}" for reason, count in reasons.most_common()]


def _tally(report: CheckReport) -> str:
    if not report.findings:
        return "nothing was sent"
    counts = report.counts
    words = [
        f"{counts[Verdict.GRANTED]} granted",
        f"{counts[Verdict.MISSING]} missing",
        f"{counts[Verdict.UNDECIDED]} undecided",
        f"{report.unchecked} unchecked",
    ]
    return f"{', '.join(words)}; {counted(report.requests, 'request')} in {report.duration_seconds:.0f} s"
