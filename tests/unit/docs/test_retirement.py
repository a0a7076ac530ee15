"""A retirement of all keys is one story in the alert, its runbook, the page on notices and the operator's email."""

import re

import yaml

from monitor.drift import EventKind
from monitor.notices.content.messages import V1Keys
from monitor.notices.content.news_from_causes import Background
from monitor.notices.content.render import Renderer
from monitor.notices.immediate.retired_keys_rules import gathering
from tests.notices import a_policy, composed, for_operator
from tests.paths import ROOT

ALERTS = (ROOT / "docs" / "alerts.md").read_text("utf-8")
NOTICES = " ".join((ROOT / "docs" / "notices.md").read_text("utf-8").split())
RUNBOOK = " ".join(ALERTS.split("\n## Keys that are retired\n")[1].split("\n## ")[0].split())
RULES = yaml.safe_load((ROOT / "helm/harvest-monitor/alerts/harvest-monitor.rules.yaml").read_text("utf-8"))
BLAME = ("Greenhouse itself", "status.greenhouse.io", "proxy or address", "breaker_turned")
"""What is said of an outage, where it would send its reader on a wrong track."""


def email(keys: V1Keys) -> tuple[str, str]:
    """Subject and text."""
    causes = [
        for_operator(EventKind.CREDENTIAL_FAILED, None, f"t{number}", state="retired", credential_id=number)
        for number in range(3)
    ]
    words = Renderer().render(composed(*causes, background=Background(v1_keys=keys)).drafts[0].message)
    return words.subject, " ".join(words.text.split())


def test_alert_runbook_and_email_say_the_same_of_keys_that_are_all_retired() -> None:
    """So many keys of Harvest v1 are retired, so move to v3; and none of them blames our network or an outage."""
    (alert,) = [r for group in RULES["groups"] for r in group["rules"] if r["alert"] == "HarvestMonitorKeysRetired"]
    summary, description = alert["annotations"]["summary"], " ".join(alert["annotations"]["description"].split())
    subject, text = email(V1Keys(62, 0))
    assert summary.replace("{{ $value }}", "62") == "All 62 keys of Harvest v1 are retired, so move to v3"
    assert subject.endswith("all 62 keys of Harvest v1 are retired: move to v3")
    assert RUNBOOK.startswith("All keys of Harvest v1 are retired, and none works any more: move to v3.")
    assert alert["annotations"]["runbook"].endswith("#keys-that-are-retired")
    for told in (description, RUNBOOK, text):
        assert "harvest-monitor tenants migration" in told
        assert "Each CSM gets" in told
        assert [words for words in BLAME if words in told] == []


def test_the_page_quotes_the_emails_as_they_are() -> None:
    """The first of a sweep, and the one that says that all are retired."""
    quoted = re.findall("“([^”]*keys of Harvest v1[^”]*)”", NOTICES)
    assert quoted == [email(keys)[0].partition(": ")[2] for keys in (V1Keys(12, 50), V1Keys(62, 0))]


def test_the_page_says_how_long_the_csms_emails_wait() -> None:
    """One and a half intervals and the settle time."""
    policy = a_policy()
    assert gathering(policy) == 1.5 * policy.interval + policy.settle
    hours = gathering(policy).total_seconds() / 3600
    assert hours == 6.25
    assert "6 hours and a quarter by default" in NOTICES
