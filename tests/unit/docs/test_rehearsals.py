"""What docs/rehearsals.md says to look for is what the code writes."""

import re

from monitor.sandbox.control.fault_presets import presets
from tests.paths import ROOT
from tests.rehearsals import PAGE, blocks, code, is_metric, prose, rehearsals

SOURCE = "".join(file.read_text("utf-8") for file in (ROOT / "monitor").rglob("*.py"))
WORDS = "".join(file.read_text("utf-8") for file in (ROOT / "templates" / "email").glob("*.subject.j2")) + SOURCE
EVENTS = set(re.findall(r'(?:log\.\w+|write)\(\s*"([a-z_]+)"', SOURCE))


def test_log_events_are_those_of_the_code() -> None:
    """Every log event that the page names is written somewhere."""
    named = {event for row in rehearsals().values() for event in row.logged if "=" not in event}
    named |= {piece for piece in code(prose()) if re.fullmatch(r"[a-z]+(_[a-z]+)+", piece) and not is_metric(piece)}
    assert {"breaker_turned", "checks_paused", "fenced_check", "template_broken"} <= named
    assert named - EVENTS == set()


def test_every_weather_has_its_name() -> None:
    """Each `sandbox weather` names an existing one, or clears."""
    named = set(re.findall(r"harvest-monitor sandbox weather ([a-z-]+)", PAGE)) - {"clear"}
    assert len(named) > 10
    assert named <= set(presets())


def test_every_row_says_what_to_type_and_to_see() -> None:
    """Each row of the four-column tables has a command, and something to look for."""
    rows = rehearsals()
    assert len(rows) > 12
    assert [row.trouble for row in rows.values() if not row.commands or not (row.logged or row.metrics)] == []
    assert len(blocks()) >= 3


def test_subjects_are_those_of_the_mails() -> None:
    """Every quoted subject is in a template, or in the words the subject is made of."""
    quoted = [mail.partition(": ")[2] or mail for row in rehearsals().values() for mail in row.mails]
    assert quoted
    plain = re.sub(r"\{[{%].*?[%}]\}|\{\w+\}", "*", WORDS)
    missing = [words for words in quoted if words not in plain]
    assert missing == []
