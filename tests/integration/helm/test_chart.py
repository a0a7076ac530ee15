"""The chart, rendered by Helm's own engine: Kubernetes accepts it, Pod Security allows it, operators rely on it."""

import json
import tomllib
from copy import deepcopy
from datetime import timedelta
from pathlib import Path
from typing import Any

import helm_python
import kubernetes_validate
import pytest
import yaml

from monitor.cli.serve import GRACE_SECONDS
from monitor.config import settings_loader
from monitor.config.settings import PREFIX, Settings
from tests.chart import (
    CHART,
    COMBINATIONS,
    CUSTOM_KINDS,
    EVERYTHING,
    MINIMAL,
    NEWEST,
    OLDEST,
    TENANTS,
    container,
    environment,
    manifests,
    not_restricted,
    one,
    pod,
    texts,
    validate,
)
from tests.integration.helm.test_alerts import linked_rules
from tests.integration.helm.test_dashboard import linked_dashboard

ROOT = CHART.parents[1]
everywhere = pytest.mark.parametrize("values", COMBINATIONS.values(), ids=list(COMBINATIONS))


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(PREFIX + name.upper(), raising=False)


@everywhere
def test_helm_lint_passes(values: dict[str, Any]) -> None:
    """Strictly, without warnings. The icon that Helm recommends would have to be loaded from some server."""
    report = helm_python.lint(CHART, values, strict=True)
    assert report["errors"] == []
    assert [message["error"] for message in report["messages"]] == ["icon is recommended"]


@everywhere
@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_kubernetes_accepts_every_manifest(values: dict[str, Any], version: str) -> None:
    """The oldest supported release and the newest one know every field of every manifest."""
    with helm_python.Chart.load(CHART) as chart:
        assert chart.metadata["kubeVersion"] == f">={OLDEST}.0-0"
    found = [manifest for manifest in manifests(values) if manifest["kind"] not in CUSTOM_KINDS]
    assert len(found) >= 2
    for manifest in found:
        validate(manifest, version)


def test_a_wrong_field_would_be_noticed() -> None:
    """The schemas reach into containers, so the test above can fail."""
    deployment = one("Deployment", MINIMAL)
    deployment["spec"]["template"]["spec"]["containers"][0]["securityContext"]["readOnlyRootFs"] = True
    with pytest.raises(kubernetes_validate.ValidationError):
        validate(deployment, NEWEST)


@everywhere
def test_the_pod_is_restricted(values: dict[str, Any]) -> None:
    """Every field meets Pod Security's "restricted", and more: read-only, and without a token."""
    spec = pod(values)["spec"]
    assert list(not_restricted(spec)) == []
    assert container(values)["securityContext"]["readOnlyRootFilesystem"] is True
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    accounts = [manifest for manifest in manifests(values) if manifest["kind"] == "ServiceAccount"]
    assert [account["automountServiceAccountToken"] for account in accounts] in ([False], [])


@pytest.mark.parametrize(
    ("field", "path", "value"),
    [
        ("hostNetwork", (), True),
        ("hostPID", (), True),
        ("hostIPC", (), True),
        ("volumes.hostPath", ("volumes", 0), {"path": "/"}),
        ("sysctls", ("securityContext",), [{"name": "kernel.shm_rmid_forced", "value": "0"}]),
        ("runAsUser", ("securityContext",), 0),
        ("runAsNonRoot", ("containers", 0, "securityContext"), False),
        ("allowPrivilegeEscalation", ("containers", 0, "securityContext"), True),
        ("seccompProfile", ("containers", 0, "securityContext"), {"type": "Unconfined"}),
        ("capabilities", ("containers", 0, "securityContext"), {"drop": ["ALL"], "add": ["NET_ADMIN"]}),
        ("capabilities", ("containers", 0, "securityContext"), {"drop": ["NET_RAW"]}),
        ("privileged", ("containers", 0, "securityContext"), True),
        ("hostPort", ("containers", 0, "ports", 0), 9808),
    ],
)
def test_an_unrestricted_field_would_be_noticed(field: str, path: tuple[Any, ...], value: object) -> None:
    """Each rule of the standard in the test above detects a pod that breaks it."""
    spec = pod(EVERYTHING)["spec"]
    place = spec
    for step in path:
        place = place[step]
    place[field.removeprefix("volumes.")] = value
    assert list(not_restricted(spec)) == [field]


@everywhere
def test_the_environment_gives_the_settings(values: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every variable of the pod is a setting of the service, with the value that was given."""
    variables = {name: value for name, value in environment(values).items() if name.startswith(PREFIX)}
    variables.pop(f"{PREFIX}SMTP_URL", None)  # refers to a file in the pod
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    settings = settings_loader.load()
    assert settings.database.database == "/var/lib/harvest-monitor/harvest-monitor.sqlite3"
    assert settings.listen_address.port == container(values)["ports"][0]["containerPort"]
    given = values.get("settings", {})
    assert settings.write_probes == given.get("write_probes", "off")
    if "interval" in given:
        assert settings.interval == timedelta(seconds=given["interval"])
        assert settings.requests_per_second == given["requests_per_second"]


@pytest.mark.parametrize("listen_host", ["0.0.0.0", "[::]"])
def test_it_listens_where_the_kubelet_and_prometheus_connect(listen_host: str) -> None:
    """They connect to the pod's own address, so it listens on all addresses of the cluster's family."""
    assert environment({**MINIMAL, "listenHost": listen_host})[f"{PREFIX}LISTEN"] == f"{listen_host}:9808"


@everywhere
def test_it_can_stop_before_it_is_killed(values: dict[str, Any]) -> None:
    """Running checks, and the service's own forced exit, end before Kubernetes kills the pod."""
    stop = int(environment(values)[f"{PREFIX}STOP_TIMEOUT"])
    assert stop == values.get("stopTimeoutSeconds", 20)
    assert pod(values)["spec"]["terminationGracePeriodSeconds"] >= stop + GRACE_SECONDS + 5


def test_a_busy_process_is_never_killed() -> None:
    """Only ten minutes without any answer end a process, at the start and later; a missing database never does."""
    probes = {kind: container(MINIMAL)[f"{kind}Probe"] for kind in ("startup", "liveness", "readiness")}
    requests = {kind: probe["httpGet"] for kind, probe in probes.items()}
    assert requests["startup"] == requests["liveness"] == {"path": "/healthz", "port": "http"}
    assert requests["readiness"] == {"path": "/readyz", "port": "http"}
    for kind in ("startup", "liveness"):
        assert probes[kind]["periodSeconds"] * probes[kind]["failureThreshold"] >= 600
    assert probes["liveness"]["timeoutSeconds"] >= 30
    assert probes["liveness"]["periodSeconds"] > probes["liveness"]["timeoutSeconds"]
    assert one("Deployment", MINIMAL)["spec"]["progressDeadlineSeconds"] > 600


def test_a_pod_in_maintenance_serves_nothing_and_keeps_running() -> None:
    """It has the volume and the settings and waits for commands; no probe ends it, and the notes say so."""
    values = COMBINATIONS["maintenance"]
    assert container(values)["command"] == ["sleep", "infinity"]
    assert not {"args", "startupProbe", "livenessProbe", "readinessProbe"} & container(values).keys()
    assert environment(values) == environment(MINIMAL)
    assert "NO TENANT IS CHECKED" in texts(values)["NOTES.txt"]
    assert container(MINIMAL)["args"] == ["serve"]


@everywhere
def test_never_two_pods_on_one_database(values: dict[str, Any]) -> None:
    """One replica, replaced only after it is gone, and a volume that one node mounts at a time."""
    spec = one("Deployment", values)["spec"]
    assert spec["replicas"] == 1
    assert spec["strategy"] == {"type": "Recreate"}
    claims = [manifest["spec"] for manifest in manifests(values) if manifest["kind"] == "PersistentVolumeClaim"]
    assert [claim["accessModes"] for claim in claims] in ([], [["ReadWriteOnce"]], [["ReadWriteOncePod"]])


def test_the_claim_outlives_the_release() -> None:
    """The history is kept when the release is uninstalled, unless configured otherwise; an existing claim is used."""
    claim = one("PersistentVolumeClaim", EVERYTHING)
    assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep", "backup": "daily"}
    assert claim["spec"]["storageClassName"] == "fast"
    bare = one("PersistentVolumeClaim", COMBINATIONS["a volume without storage class"])
    assert "annotations" not in bare["metadata"]
    assert bare["spec"]["storageClassName"] == ""
    assert "storageClassName" not in one("PersistentVolumeClaim", MINIMAL)["spec"]
    existing = COMBINATIONS["existing objects"]
    assert "PersistentVolumeClaim" not in {manifest["kind"] for manifest in manifests(existing)}
    assert volume(existing, "data") == {"persistentVolumeClaim": {"claimName": "our-claim"}}


def volume(values: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [one for one in pod(values)["spec"]["volumes"] if one["name"] == name]
    return {kind: what for kind, what in found.items() if kind != "name"}


def mounts(values: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {mount["name"]: mount for mount in container(values)["volumeMounts"]}


def test_keys_come_from_an_existing_secret() -> None:
    """As files that follow the Secret and only the service's group can read, or as variables; never from a value."""
    assert volume(EVERYTHING, "keys") == {"secret": {"secretName": "keys", "defaultMode": 0o440}}
    assert mounts(EVERYTHING)["keys"] == {"name": "keys", "mountPath": "/etc/harvest-monitor/keys", "readOnly": True}
    assert container(EVERYTHING)["envFrom"] == [{"secretRef": {"name": "more-keys"}}]
    assert "envFrom" not in container(MINIMAL)
    assert "keys" not in mounts(MINIMAL)


@everywhere
def test_the_chart_makes_no_secret(values: dict[str, Any]) -> None:
    """No rendered manifest is a Secret: operators create secrets by their own means."""
    assert "Secret" not in {manifest["kind"] for manifest in manifests(values)}


@pytest.mark.parametrize(
    ("case", "source", "path"),
    [
        ("minimal", {"configMap": {"name": "our-tenants"}}, "tenants/tenants.yaml"),
        ("tenants inline", {"configMap": {"name": "ours-harvest-monitor-tenants"}}, "tenants/tenants.yaml"),
        ("tenants in a Secret", {"secret": {"secretName": "our-tenants"}}, "tenants/customers.yml"),
    ],
)
def test_a_changed_tenants_file_reaches_the_pod(case: str, source: dict[str, Any], path: str) -> None:
    """It is mounted as a folder: Kubernetes never updates a single file that is mounted by subPath."""
    values = COMBINATIONS[case]
    assert volume(values, "tenants") == {kind: {**given, "defaultMode": 0o440} for kind, given in source.items()}
    assert mounts(values)["tenants"] == {
        "name": "tenants",
        "mountPath": "/etc/harvest-monitor/tenants",
        "readOnly": True,
    }
    assert environment(values)[f"{PREFIX}TENANTS"] == f"/etc/harvest-monitor/{path}"


def test_tenants_may_come_from_the_operators_own_volume() -> None:
    """For a file too large for a ConfigMap: the path is used as it is, and nothing is mounted for it."""
    values = COMBINATIONS["tenants on a volume"]
    assert environment(values)[f"{PREFIX}TENANTS"] == "/srv/tenants/tenants.yaml"
    assert mounts(values)["tenants"] == {"name": "tenants", "mountPath": "/srv/tenants"}


def test_inline_tenants_are_kept_letter_for_letter() -> None:
    """`off` stays off and a date stays a date: the value becomes the file, including comments."""
    assert one("ConfigMap", COMBINATIONS["tenants inline"])["data"] == {"tenants.yaml": TENANTS}


def test_a_changed_setting_restarts_the_pod_and_changed_tenants_do_not() -> None:
    """What is read at the start is part of the pod; what is reloaded while it runs is not, and has no checksum."""
    more = TENANTS + "  - {id: globex, name: Globex}\n"
    before = pod({**MINIMAL, "tenants": {"inline": TENANTS}})
    assert pod({**MINIMAL, "tenants": {"inline": more}}) == before
    assert pod({**MINIMAL, "tenants": {"inline": TENANTS}, "settings": {"interval": "2h"}}) != before


def test_the_service_selects_the_pod() -> None:
    """Its selector is that of the pod and the deployment, and it serves the metrics of a pod that is not ready."""
    for values in (MINIMAL, EVERYTHING):
        service, labels = one("Service", values)["spec"], pod(values)["metadata"]["labels"]
        assert service["selector"].items() <= labels.items()
        assert one("Deployment", values)["spec"]["selector"]["matchLabels"] == service["selector"]
        assert service["ports"][0]["targetPort"] == container(values)["ports"][0]["name"]
        assert service["type"] == "ClusterIP"
        assert service["publishNotReadyAddresses"] is True


def test_prometheus_finds_the_service() -> None:
    """The ServiceMonitor's selector finds the Service and its port by name; it exists only if enabled."""
    monitor, service = one("ServiceMonitor", EVERYTHING), one("Service", EVERYTHING)
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["spec"]["endpoints"] == [
        {"port": service["spec"]["ports"][0]["name"], "path": "/metrics", "interval": "60s"}
    ]
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    assert CUSTOM_KINDS.isdisjoint(manifest["kind"] for manifest in manifests(MINIMAL))


def dashboard(values: dict[str, Any]) -> dict[str, Any]:
    (found,) = [one for one in manifests(values) if one["metadata"]["name"] == "permissions-dashboard"]
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
    model: dict[str, Any] = json.loads(found["data"]["harvest-monitor.json"])
    return model


def test_alert_rules_and_dashboard_are_those_of_the_chart() -> None:
    """The cluster gets the files that promtool and Grafana get, including their `{{ }}`."""
    values = deepcopy(EVERYTHING)
    del values["settings"]["public_url"], values["docsUrl"]
    rules = one("PrometheusRule", values)
    assert rules["spec"] == yaml.safe_load((CHART / "alerts" / "harvest-monitor.rules.yaml").read_text("utf-8"))
    file = (CHART / "dashboards" / "harvest-monitor.json").read_text("utf-8")
    assert dashboard(values) == json.loads(file)


def test_alerts_and_panels_lead_to_the_pages_of_the_service_and_to_runbooks() -> None:
    """With either address they have the links that docs/alerts.md adds without Helm, and are else the same."""
    address, docs = "https://monitor.vendor.example/hm", "https://git.vendor.example/hm/-/blob/main/docs"
    assert one("PrometheusRule", EVERYTHING)["spec"] == yaml.safe_load(linked_rules(address, docs))
    assert dashboard(EVERYTHING) == linked_dashboard(address, docs)
    runbooks_only = deepcopy(EVERYTHING)
    del runbooks_only["settings"]["public_url"]
    assert one("PrometheusRule", runbooks_only)["spec"] == yaml.safe_load(linked_rules(docs=docs))
    assert dashboard(runbooks_only) == linked_dashboard(docs=docs)
    assert environment(EVERYTHING)[f"{PREFIX}PUBLIC_URL"] == f"{address}/"


@pytest.mark.parametrize("address", ["https://monitor.vendor.example", "http://10.1.2.3:9808//", "https://[fd00::1]/x"])
def test_what_the_service_takes_for_its_address_makes_links(address: str) -> None:
    """Whatever its form, there is one slash before the page."""
    values = {**EVERYTHING, "docsUrl": "", "settings": {**EVERYTHING["settings"], "public_url": address}}
    public_url = Settings(public_url=address).public_url
    assert public_url is not None
    assert one("PrometheusRule", values)["spec"] == yaml.safe_load(linked_rules(public_url))
    assert dashboard(values) == linked_dashboard(public_url)


def test_the_network_policy_lets_through_what_is_needed() -> None:
    """Out: DNS, Greenhouse, mail and what was added. In: the metrics' port, from the sources listed."""
    spec = one("NetworkPolicy", EVERYTHING)["spec"]
    assert spec["podSelector"]["matchLabels"].items() <= pod(EVERYTHING)["metadata"]["labels"].items()
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert [[port["port"] for port in rule["ports"]] for rule in spec["egress"]] == [
        [53, 53],
        [443],
        [587, 465],
        [3128],
    ]
    assert spec["ingress"][0]["from"] == EVERYTHING["networkPolicy"]["metricsFrom"]
    bare = one("NetworkPolicy", COMBINATIONS["a network policy alone"])["spec"]
    assert ports_out(bare) == [[53, 53], [443]]
    assert "from" not in bare["ingress"][0]


def ports_out(policy: dict[str, Any]) -> list[list[int]]:
    return [[port["port"] for port in rule["ports"]] for rule in policy["egress"]]


@pytest.mark.parametrize("name", ["harvest-monitor", "a" * 53, "harvest-monitor-" + "b" * 37])
def test_names_fit_whatever_the_release_is_called(name: str) -> None:
    """No name or label is longer than Kubernetes allows, even with the longest release name Helm allows."""
    for manifest in manifests({**EVERYTHING, "fullnameOverride": ""}, name):
        assert len(manifest["metadata"]["name"]) <= 63
        assert all(len(value) <= 63 for value in manifest["metadata"]["labels"].values())
        if manifest["kind"] not in CUSTOM_KINDS:
            validate(manifest, NEWEST)


def test_chart_and_service_have_one_version() -> None:
    """Chart, application and default image have the version of pyproject.toml."""
    release = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    with helm_python.Chart.load(CHART) as chart:
        assert chart.metadata["version"] == chart.metadata["appVersion"] == release
    assert container(MINIMAL)["image"] == f"registry.example/harvest-monitor:{release}"
    assert container(EVERYTHING)["image"] == f"registry.example/harvest-monitor@sha256:{'0' * 64}"
    tagged = deepcopy(MINIMAL)
    tagged["image"]["tag"] = "2026-11-24"
    assert container(tagged)["image"] == "registry.example/harvest-monitor:2026-11-24"


def test_the_packaged_chart_renders_the_same(tmp_path: Path) -> None:
    """The archive contains everything the chart needs, including alerts and dashboard."""
    archive = helm_python.package(CHART, destination=tmp_path)
    with helm_python.Chart.load(archive) as chart:
        packed = chart.render(EVERYTHING, name="ours", namespace="monitoring")
    assert {path.split("/templates/")[1]: text for path, text in packed.items()} == texts(EVERYTHING)


def test_the_notes_say_what_to_do_next() -> None:
    """Commands with the names of this release, what to back up, and that no emails are sent, as long as that is so."""
    bare, full = texts(MINIMAL)["NOTES.txt"], texts(EVERYTHING)["NOTES.txt"]
    assert "kubectl --namespace monitoring exec deploy/ours-harvest-monitor -- harvest-monitor tenants list" in bare
    assert "No emails are sent yet" in bare
    assert "No emails are sent yet" not in full
    assert "port-forward service/permissions 9808:80\n" in full
    assert "the volume claim permissions: it contains the database and the installation's key" in full
