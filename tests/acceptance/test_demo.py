"""The demo, as a newcomer runs and kills it."""

import re
import subprocess
from pathlib import Path

from tests.command import COMMAND, bare_environment, run, run_json, until


def test_a_killed_demo_says_what_it_finds_and_continues(tmp_path: Path) -> None:
    """kill -9 once emails are sent: in the end every event is there once, and every email was written.

    Tokens end with the sandbox that issued them; their tenants do not fail, as the next sandbox issues new ones.
    """
    folder = tmp_path / "demo"
    first = subprocess.Popen(
        [str(COMMAND), "demo", "--folder", str(folder)],
        env=bare_environment(tmp_path, {}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until(lambda: any((folder / "mail").glob("*.eml")))
    first_mails = {path.name for path in (folder / "mail").glob("*.eml")}
    in_use = run(tmp_path, "demo", "--folder", str(folder))
    first.kill()
    first.wait()

    second = run(tmp_path, "demo", "--once", "--folder", str(folder), timeout=300)

    assert (in_use.returncode, second.returncode) == (2, 0)
    assert "a demo is running in" in in_use.stderr
    assert "An earlier demo was cut off here." in second.stdout
    assert "drift events" in second.stdout
    assert re.search(r"^   http://127.0.0.1:\d+/sign-in/link/hml_\S+$", second.stdout, re.M)
    assert "notices sent" in second.stdout
    settings = {"config": folder / "harvest-monitor.toml"}
    events = run_json(tmp_path, "history", **settings)["events"]
    facts = [(event["tenant_id"], event["kind"], event["permission_id"], event["state"]) for event in events]
    assert len(set(facts)) == len(facts)
    assert [kind for tenant, kind, *_ in facts if tenant in ("globex", "initech")].count("lost") == 4
    failed = sorted((tenant, kind, state) for tenant, kind, permission, state in facts if permission is None)
    assert failed == [
        ("umbrella", "found", "invalid"),
        ("weyland", "credential_failed", "retired"),
        ("weyland", "credential_failed", "unreachable"),
    ]
    lines = run_json(tmp_path, "tenants", "list", **settings)["tenants"]
    states = {line["id"]: (line["kinds"], line["state"]) for line in lines}
    assert states["oscorp"] == states["cyberdyne"] == (["harvest-oauth"], "ok")
    assert states["weyland"] == (["harvest-key"], "retired")
    notices = run_json(tmp_path, "notices", "list", **settings)["notices"]
    sent = [notice for notice in notices if notice["status"] == "sent"]
    assert {notice["status"] for notice in notices} == {"sent", "held"}
    assert len(list((folder / "mail").glob("*.eml"))) == len(sent) > len(first_mails)
