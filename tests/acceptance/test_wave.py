"""Every tenant loses the same, seen by the running service: no CSM is mailed, and the operator decides."""

import json
import re

from tests.command import ServeProcess, run_here, run_json, until
from tests.service import ServiceHarness, checked

TENANTS = [f"t{number}" for number in range(8)]


def test_a_wave_is_held_read_and_dropped(harness: ServiceHarness) -> None:
    """One finds it, a sample finds the others, nothing leaves; a held email can be read before it is dropped."""
    for tenant in TENANTS:
        harness.add_tenant(tenant)
    slow = {"interval": "1h", "deadline": "20s", "settle": "4s"}
    with harness.serve(**slow) as service:
        for tenant in TENANTS:
            checked(service, tenant)
        for tenant in TENANTS:
            harness.sandbox.key(tenant).untick("GET /v1/offers")
        run_here(harness.folder, "check", "t0", "--record", **{**harness.settings, **slow})
        # A tenant that is about to be checked anyway, as the hour has it, is not brought forward.
        until(lambda: _brought_forward(service) > len(TENANTS) / 2)
        until(lambda: len(_held(harness)) == len(TENANTS))
        (told,) = until(lambda: harness.emails("*held"))
    assert [path for tenant in TENANTS for path in harness.emails(tenant)] == []
    assert "changed in the same way" in " ".join(told.read_text("utf-8").replace("=\n", "").split())

    number = str(_held(harness)[0]["id"])
    shown = run_json(harness.folder, "notices", "show", number, **harness.settings)["notice"]
    assert (shown["status"], shown["actions"]) == ("held", [])
    assert "GET: List offers" in shown["text"]
    assert run_here(harness.folder, "notices", "drop", **harness.settings).returncode == 2
    dropped = run_here(harness.folder, "notices", "drop", "--all", "--reason", "our release", **harness.settings)
    assert dropped.stdout == "8 notices dropped\n"
    (done,) = run_json(harness.folder, "notices", "show", number, **harness.settings)["notice"]["actions"]
    assert done["reason"] == "our release"


def _brought_forward(service: ServeProcess) -> float:
    return sum(
        map(float, re.findall(r"^harvest_monitor_sampled_checks_total (\S+)$", service.get("/metrics")[1], re.M))
    )


def _held(harness: ServiceHarness) -> list[dict[str, object]]:
    listed = run_here(harness.folder, "notices", "list", "--status", "held", "--json", **harness.settings)
    return list(json.loads(listed.stdout)["notices"])
