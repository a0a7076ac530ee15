"""Compares what a PromQL expression asks for with what a process exports."""

import re
from collections import defaultdict
from collections.abc import Iterator

from prometheus_client.parser import text_string_to_metric_families

# Added by Prometheus and Kubernetes, not by us.
_TARGET_LABELS = {"namespace", "job", "instance"}
Exported = dict[str, dict[str, set[str]]]


def exported(exposition: str) -> Exported:
    """The values of each label of each series, by the series' name."""
    found: Exported = defaultdict(lambda: defaultdict(set))
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            labels = found[sample.name]
            for label, value in sample.labels.items():
                labels[label].add(value)
    return found


def not_exported(expression: str, series: Exported) -> Iterator[str]:
    """The metrics, labels and values in the expression that nothing exports."""
    for name, matchers in re.findall(r"\b(harvest_monitor_\w+)(?:\{([^}]*)\})?", expression):
        if name not in series:
            yield name
        for label, operator, text in re.findall(r'(\w+)(=~|!=|!~|=)"([^"]*)"', matchers):
            if label in _TARGET_LABELS:
                continue
            wanted = set(text.split("|")) if operator.endswith("~") else {text}
            yield from (f'{name}{{{label}="{value}"}}' for value in wanted - series[name][label])
