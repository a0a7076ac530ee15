"""Renders the chart with Helm's own engine, and checks it as Kubernetes' API server and Pod Security do."""

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import helm_python
import kubernetes_validate
import pytest
import yaml

CHART = Path(__file__).parents[1] / "helm" / "harvest-monitor"
OLDEST, NEWEST = "1.25", kubernetes_validate.latest_version()
CUSTOM_KINDS = {"ServiceMonitor", "PrometheusRule"}  # their schemas are not available offline
SAFE_VOLUMES = {
    *("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret")
}

Manifest = dict[str, Any]
Values = Mapping[str, Any]

TENANTS = """\
# for whom we work
tenants:
  - id: acme
    name: Acme Corp
    write_probes: off
    credential: {kind: harvest-key, label: Gem, key: "file:/etc/harvest-monitor/keys/acme"}
    declined: [{permission: "PUT: Merge two candidates", reference: ticket 4711, since: 2026-05-02}]
"""
MINIMAL: dict[str, Any] = {
    "image": {"repository": "registry.example/harvest-monitor"},
    "tenants": {"existingConfigMap": "our-tenants"},
}
EVERYTHING: dict[str, Any] = {
    "image": {"repository": "registry.example/harvest-monitor", "digest": f"sha256:{'0' * 64}", "pullPolicy": "Always"},
    "imagePullSecrets": [{"name": "registry"}],
    "fullnameOverride": "permissions",
    "tenants": {"inline": TENANTS},
    "existingSecret": "keys",
    "existingSecretEnv": "more-keys",
    "settings": {
        "write_probes": "safe",
        "interval": 14_400_000,
        "requests_per_second": 0.5,
        "concurrency": 20,
        "notices": "csm",
        "smtp_url": "file:/etc/harvest-monitor/keys/smtp-url",
        "mail_from": "Harvest Monitor <monitor@vendor.example>",
        "operator_mail": "ops@vendor.example",
        "public_url": "https://monitor.vendor.example/hm/",
    },
    "stopTimeoutSeconds": 90,
    "listenHost": "[::]",
    "extraEnv": [
        {"name": "TZ", "value": "UTC"},
        {"name": "GLOBEX_KEY", "valueFrom": {"secretKeyRef": {"name": "globex", "key": "key"}}},
    ],
    "persistence": {
        "size": "10Gi",
        "storageClassName": "fast",
        "accessMode": "ReadWriteOncePod",
        "annotations": {"backup": "daily"},
    },
    "resources": {"requests": {"cpu": "200m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}},
    "serviceAccount": {"annotations": {"owner": "integrations"}},
    "service": {"port": 80, "annotations": {"owner": "integrations"}},
    "serviceMonitor": {"enabled": True, "interval": "60s", "labels": {"release": "prometheus"}},
    "docsUrl": "https://git.vendor.example/hm/-/blob/main/docs/",
    "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
    "dashboard": {"enabled": True, "annotations": {"grafana_folder": "Integrations"}},
    "networkPolicy": {
        "enabled": True,
        "metricsFrom": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
        "smtpPorts": [587, 465],
        "extraEgress": [{"to": [{"ipBlock": {"cidr": "10.1.2.3/32"}}], "ports": [{"port": 3128, "protocol": "TCP"}]}],
    },
    "podAnnotations": {"owner": "integrations"},
    "podLabels": {"team": "integrations"},
    "priorityClassName": "low",
    "nodeSelector": {"kubernetes.io/arch": "amd64"},
    "tolerations": [{"key": "dedicated", "operator": "Exists", "effect": "NoSchedule"}],
    "affinity": {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}]
            }
        }
    },
    "extraVolumes": [{"name": "manifests", "configMap": {"name": "our-manifests"}}],
    "extraVolumeMounts": [{"name": "manifests", "mountPath": "/etc/harvest-monitor/manifests", "readOnly": True}],
}
COMBINATIONS: dict[str, dict[str, Any]] = {
    "minimal": MINIMAL,
    "everything": EVERYTHING,
    "tenants inline": {**MINIMAL, "tenants": {"inline": TENANTS}},
    "tenants in a Secret": {**MINIMAL, "tenants": {"existingSecret": "our-tenants", "key": "customers.yml"}},
    "tenants on a volume": {
        **MINIMAL,
        "tenants": {"path": "/srv/tenants/tenants.yaml"},
        "extraVolumes": [{"name": "tenants", "persistentVolumeClaim": {"claimName": "tenants"}}],
        "extraVolumeMounts": [{"name": "tenants", "mountPath": "/srv/tenants"}],
    },
    "a cluster that assigns the user": {
        **MINIMAL,
        "podSecurityContext": {"runAsUser": None, "runAsGroup": None, "fsGroup": None},
    },
    "existing objects": {
        **MINIMAL,
        "persistence": {"existingClaim": "our-claim"},
        "serviceAccount": {"name": "our-account"},
        "existingSecret": "keys",
        "resources": None,
    },
    "maintenance": {**MINIMAL, "maintenance": True},
    "a volume without storage class": {**MINIMAL, "persistence": {"storageClassName": "-", "keep": False}},
    "a network policy alone": {**MINIMAL, "networkPolicy": {"enabled": True, "smtpPorts": []}},
}


def texts(values: Values, name: str = "ours") -> dict[str, str]:
    """The rendered text of each template, by file name; HelmError with a message if the values are refused."""
    with helm_python.Chart.load(CHART) as chart:
        rendered = chart.render(dict(values), name=name, namespace="monitoring")
    return {path.split("/templates/")[1]: text for path, text in rendered.items()}


def manifests(values: Values, name: str = "ours") -> list[Manifest]:
    return deepcopy(_manifests(json.dumps(values), name))


@cache
def _manifests(values: str, name: str) -> list[Manifest]:
    parts = [text for file, text in texts(json.loads(values), name).items() if file.endswith(".yaml")]
    return [found for text in parts for found in yaml.safe_load_all(text) if found]


def one(kind: str, values: Values, name: str = "ours") -> Manifest:
    """The manifest of this kind; ValueError unless there is one."""
    (found,) = [manifest for manifest in manifests(values, name) if manifest["kind"] == kind]
    return found


def pod(values: Values) -> Manifest:
    template: Manifest = one("Deployment", values)["spec"]["template"]
    return template


def container(values: Values) -> Manifest:
    (found,) = pod(values)["spec"]["containers"]
    assert isinstance(found, dict)
    return found


def environment(values: Values) -> dict[str, str]:
    """The environment variables with a literal value in the pod."""
    return {variable["name"]: variable["value"] for variable in container(values)["env"] if "value" in variable}


def refusal(values: Values) -> str:
    """The error with which Helm refuses to render."""
    with pytest.raises(helm_python.HelmError) as caught:
        texts(values)
    return str(caught.value)


def validate(manifest: Manifest, version: str) -> None:
    """kubernetes_validate.ValidationError if that version's API server would refuse the manifest or drop a field."""
    kubernetes_validate.validate(manifest, version, strict=True)


def not_restricted(spec: Manifest) -> Iterator[str]:
    """Each field of a pod's spec that Pod Security's level "restricted" (v1.37) forbids; it includes "baseline".

    https://kubernetes.io/docs/concepts/security/pod-security-standards/
    """
    yield from (field for field in ("hostNetwork", "hostPID", "hostIPC") if spec.get(field))
    for volume in spec.get("volumes", []):
        yield from (f"volumes.{kind}" for kind in volume.keys() - {"name"} - SAFE_VOLUMES)
    context = spec.get("securityContext", {})
    if context.get("sysctls"):
        yield "sysctls"
    for part in [*spec["containers"], *spec.get("initContainers", []), *spec.get("ephemeralContainers", [])]:
        yield from _not_restricted_container({**context, **part.get("securityContext", {})}, part)


def _not_restricted_container(effective: Manifest, part: Manifest) -> Iterator[str]:
    if effective.get("runAsNonRoot") is not True:
        yield "runAsNonRoot"
    if effective.get("runAsUser") == 0:
        yield "runAsUser"
    if effective.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation"
    if effective.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
        yield "seccompProfile"
    capabilities = effective.get("capabilities", {})
    if "ALL" not in capabilities.get("drop", []) or set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"}:
        yield "capabilities"
    yield from (
        field for field in ("privileged", "procMount", "seLinuxOptions", "appArmorProfile") if effective.get(field)
    )
    yield from ("hostPort" for port in part.get("ports", []) if port.get("hostPort"))
