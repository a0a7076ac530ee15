"""The chart's values: which are refused and with what message; schema, settings and docs agree."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import helm_python
import pytest
import yaml

from monitor.config.setting_types import parse_duration
from monitor.config.settings import NoticesMode, Settings
from tests.chart import CHART, COMBINATIONS, MINIMAL, environment, refusal, texts

DOCS = CHART.parents[1] / "docs" / "kubernetes.md"
CANARY = "canary4711"
SET_BY_THE_CHART = {"database_url", "listen", "metrics_listen", "tenants", "stop_timeout"}
"""Settings that follow from other values: the volume, the one port, the tenants' source, the grace period."""
MAIL = {"smtp_url": "env:SMTP", "mail_from": "a@vendor.example", "operator_mail": "b@vendor.example"}


def schema() -> dict[str, Any]:
    with helm_python.Chart.load(CHART) as chart:
        assert chart.schema is not None
        return chart.schema


def defaults() -> dict[str, Any]:
    with helm_python.Chart.load(CHART) as chart:
        return chart.values


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"replicas": 2}, "at '/replicas': value must be 1"),
    ({"replicaCount": 1}, "additional properties 'replicaCount' not allowed"),
    ({"settings": {"intervall": "4h"}}, "at '/settings': additional properties 'intervall' not allowed"),
    ({"settings": {"database_url": "postgresql://h/d"}}, "additional properties 'database_url' not allowed"),
    ({"settings": {"interval": "four hours"}}, "at '/settings/interval': 'four hours' does not match pattern"),
    ({"settings": {"interval": -1}}, "at '/settings/interval': minimum: got -1, want 0"),
    ({"settings": {"concurrency": "5"}}, "at '/settings/concurrency': got string, want integer"),
    ({"settings": {"write_probes": "some"}}, "at '/settings/write_probes': value must be one of 'off', 'safe', 'all'"),
    *(({"settings": {"public_url": wrong}}, "at '/settings/public_url': ")
      for wrong in ("monitor.example", "https://m/?x", "https://m/#x", "https://u@m", 'https://m"', "https://m\nx:")),
    *(({"docsUrl": wrong}, "at '/docsUrl': ") for wrong in ("docs/", "https://m/#x", 'https://m"', "https://m\nx:")),
    ({"settings": {"notices": "csm"}}, "missing properties 'smtp_url', 'mail_from', 'operator_mail'"),
    ({"settings": {"sign_in": "proxy"}}, "missing property 'trusted_proxies'"),
    ({"settings": {"sign_in": "oidc", "public_url": "https://m.example"}},
     "missing properties 'oidc_issuer', 'oidc_client_id', 'oidc_client_secret'"),
    ({"stopTimeoutSeconds": "20s"}, "at '/stopTimeoutSeconds': got string, want integer"),
    ({"persistence": {"accessMode": "ReadWriteMany"}}, "must be one of 'ReadWriteOnce', 'ReadWriteOncePod'"),
    ({"persistence": {"size": "2G B"}}, "at '/persistence/size': '2G B' does not match pattern"),
    ({"podSecurityContext": {"runAsUser": 0}}, "at '/podSecurityContext/runAsUser': minimum: got 0, want 1"),
    ({"podSecurityContext": {"runAsNonRoot": False}}, "additional properties 'runAsNonRoot' not allowed"),
    ({"extraVolumes": [{"name": "x", "hostPath": {"path": "/"}}]}, "additional properties 'hostPath' not allowed"),
    ({"extraEnv": [{"name": "TZ"}]}, "at '/extraEnv/0': missing property 'value'"),
    ({"extraEnv": [{"name": "HARVEST_MONITOR_INTERVAL", "value": "1h"}]},
     "extraEnv: HARVEST_MONITOR_INTERVAL: names with this prefix are settings: write it under settings"),
    ({"existingSecret": "a/b"}, "at '/existingSecret': 'a/b' does not match pattern"),
    ({"image": {"repository": ""}}, "image.repository is not set: build the image"),
    ({"image": {"repository": "r", "digest": "latest"}}, "at '/image/digest': 'latest' does not match pattern"),
    ({"tenants": {}},
     "no tenants to check: set one of tenants.inline, tenants.existingConfigMap, tenants.existingSecret"),
    ({"tenants": {"existingSecret": "a", "path": "/b"}},
     "tenants.existingSecret and tenants.path are set: only one of them can hold the tenants"),
    ({"tenants": {"inline": "- id: acme"}}, "tenants.inline contains no list `tenants:`"),
    ({"tenants": {"inline": "tenants: ["}}, "tenants.inline contains no list `tenants:`"),
]  # fmt: skip


@pytest.mark.parametrize(("values", "message"), REFUSED, ids=lambda part: str(part)[:60])
def test_a_wrong_value_is_refused_with_its_path(values: dict[str, Any], message: str) -> None:
    """Helm renders nothing, and says where the mistake is."""
    assert message in refusal({**MINIMAL, **values})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        *(
            ({"settings": {**MAIL, "smtp_url": address}}, "settings.smtp_url may contain a password")
            for address in (f"smtp://monitor:{CANARY}@mail.example:587", f"smtps://{CANARY}@mail.example")
        ),
        ({"settings": {"smtp_url": f"smtp://u:{CANARY}@h"}}, "missing properties 'mail_from', 'operator_mail'"),
        ({"settings": {"http_proxy": f"http://u:{CANARY}@proxy:3128"}}, "settings.http_proxy may contain a password"),
        ({"settings": {"oidc_client_secret": CANARY}}, "settings.oidc_client_secret is not a reference"),
        *(
            (
                {"tenants": {"inline": f"tenants: [{{id: acme, {credential}}}]"}},
                f"tenants.inline: acme: {field} is not a reference",
            )
            for credential, field in (
                (f"credential: {{key: {CANARY}}}", "key"),
                (f"credential: {{key: 'ENV:{CANARY}'}}", "key"),
                (f"credentials: [{{key: 'env:A'}}, {{key: {CANARY}}}]", "key"),
                (f"credential: {{client_secret: {CANARY}, client_id: 'env:A', token: mint}}", "client_secret"),
                (f"credential: {{token: {CANARY}}}", "token"),
            )
        ),
    ],
)
def test_a_secret_among_the_values_is_refused_and_not_shown(values: dict[str, Any], message: str) -> None:
    """Values end up in files, histories and the release's record, so a secret in them is refused and not repeated."""
    refused = refusal({**MINIMAL, **values})
    assert message in refused
    assert CANARY not in refused


@pytest.mark.parametrize("row", ["5", "{id: acme, credential: x}", "{id: acme, credentials: [x]}", "{}"])
def test_a_bad_row_is_left_to_the_service(row: str) -> None:
    """A row with a mistake affects only itself, in the service; the chart does not validate tenants files."""
    assert texts({**MINIMAL, "tenants": {"inline": f"tenants: [{row}]"}})


def test_all_mistakes_are_reported_at_once() -> None:
    """With no values at all, the message lists everything that is needed."""
    refused = refusal({})
    assert "image.repository is not set" in refused
    assert "no tenants to check" in refused


def test_the_schema_knows_every_setting_and_no_other() -> None:
    """Each setting of the service is in values.schema.json, or above as one that follows from other values."""
    assert {*schema()["properties"]["settings"]["properties"], *SET_BY_THE_CHART} == set(Settings.model_fields)


def test_the_schema_requires_mail_settings_exactly_when_the_service_does() -> None:
    """What would prevent the service from starting, with the old pod already gone, is refused before."""
    for notices in (None, *NoticesMode):
        for left_out in (*MAIL, None, "all"):
            given = {name: value for name, value in MAIL.items() if left_out not in (name, "all")}
            settings = {**given, **({} if notices is None else {"notices": str(notices)})}
            problems = Settings(**{**settings, **({"smtp_url": "smtp://h"} if "smtp_url" in settings else {})})
            if problems.problems_for_serving():
                assert "missing propert" in refusal({**MINIMAL, "settings": settings}), settings
            else:
                assert texts({**MINIMAL, "settings": settings})


@pytest.mark.parametrize("written", ["90", "90s", "1.5h", "15m", "4 h", "1d", 90, 0.5, 31_622_400])
def test_durations_mean_what_they_mean_in_the_settings(written: str | float) -> None:
    """Text or number, large or fractional: the same duration reaches the pod."""
    variables = environment({**MINIMAL, "settings": {"interval": written}})
    assert parse_duration(variables["HARVEST_MONITOR_INTERVAL"]) == parse_duration(written)
    assert parse_duration(variables["HARVEST_MONITOR_INTERVAL"]) > timedelta(0)


@pytest.mark.parametrize("setting", ["write_probes", "notices"])
def test_off_is_off(setting: str) -> None:
    """Helm reads `off` without quotes as false; the service gets `off`."""
    values = {**MINIMAL, **helm_python.values_from_yaml(f"settings: {{{setting}: off}}")}
    assert environment(values)[f"HARVEST_MONITOR_{setting.upper()}"] == "off"


def objects(part: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object of the schema that lists its properties."""
    if isinstance(part, dict):
        if "properties" in part and part.get("type") == "object":
            yield path, part
        for name, inner in part.items():
            yield from objects(inner, f"{path}/{name}")


def test_the_schema_is_strict() -> None:
    """No object of ours accepts an unlisted property, and values.yaml has all of them."""
    found = dict(objects(schema()))
    assert len(found) > 15
    assert [path for path, part in found.items() if part.get("additionalProperties") is not False] == []
    assert set(found[""]["properties"]) - {"global"} == set(defaults())
    for name, part in found.items():
        group = name.removeprefix("/properties/")
        if group in defaults() and group != "settings":
            assert set(part["properties"]) == set(defaults()[group]), group


def documented() -> dict[str, Any]:
    """The default of each value with a row in docs/kubernetes.md."""
    rows = re.findall(r"^\| `([\w.]+)` \| `(.+?)` \|.* \|$", DOCS.read_text("utf-8"), re.M)
    return {name: yaml.safe_load(default) for name, default in rows}


def leaves(values: dict[str, Any], path: str = "") -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{path}{name}.")
        else:
            yield path + name


def test_docs_have_every_value_with_its_default() -> None:
    """Each row's default is that of values.yaml; each value has a row, or its group has one."""
    rows = documented()
    for name, default in rows.items():
        value: Any = defaults()
        for step in name.split("."):
            value = value[step]
        assert value == default, name
    undocumented = [leaf for leaf in leaves(defaults()) if not any(f"{leaf}.".startswith(f"{row}.") for row in rows)]
    assert undocumented == []


def examples() -> list[dict[str, Any]]:
    """The values files that docs/kubernetes.md shows; what begins with settings is to be added to the first."""
    blocks = re.findall(r"^```yaml\n(.*?)^```$", DOCS.read_text("utf-8"), re.M | re.S)
    whole = [helm_python.values_from_yaml(block) for block in blocks if block.startswith("image:")]
    added = [helm_python.values_from_yaml(block) for block in blocks if block.startswith("settings:")]
    return whole + [{**whole[0], **more, "settings": {**whole[0]["settings"], **more["settings"]}} for more in added]


def test_the_values_that_docs_show_render() -> None:
    """The page's examples are enough to install with."""
    assert len(examples()) >= 2
    for values in examples():
        assert texts(values)


@pytest.mark.parametrize("values", COMBINATIONS.values(), ids=list(COMBINATIONS))
def test_the_schema_passes_what_the_tests_render(values: dict[str, Any]) -> None:
    """The combinations satisfy the schema, so none of them tests what no user can have."""
    with helm_python.Chart.load(CHART) as chart:
        chart.validate_schema(values)


def test_the_values_file_refers_to_the_docs() -> None:
    """values.yaml names the page that explains each value."""
    assert "docs/kubernetes.md" in Path(CHART / "values.yaml").read_text("utf-8")
