"""Stored secrets that are not there, cannot be read for a moment, or are plainly something else."""

import base64
import json
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy

from tests.command import ServeProcess, run_here, until
from tests.service import ServiceHarness, checked

A_KEY = "5dc54b4a7cdb4e1a9d7b5dc54b4a7cdb-1"
# What is stored in the place of a key, by the tenant's id · what is said about it.
NOT_KEYS = {
    "quotes": (f'"{A_KEY}"', "is in quotes"),
    "json": (json.dumps({"key": A_KEY}), "is JSON"),
    "header": (f"Basic {A_KEY}", "is a header"),
    "url": (f"https://vault.example/{A_KEY}", "is a URL"),
    "dotenv": (f"ACME_KEY={A_KEY}", "has the name of a variable before it"),
    "basic": (base64.b64encode(f"{A_KEY}:".encode()).decode(), "is encoded in base64"),
    "pem": (f"-----BEGIN PRIVATE KEY-----\n{A_KEY}\n-----END PRIVATE KEY-----\n", "is a PEM block"),
    "pair": (f"client-1:{A_KEY}", "contains a colon"),
    "blank": (f"{A_KEY} {A_KEY}", "contains white space"),
    "lines": (f"{A_KEY}\n{A_KEY}\n", "contains a line break"),
}


def test_what_is_plainly_not_a_key_is_misconfigured_before_anything_is_sent(harness: ServiceHarness) -> None:
    """`check` and `doctor` name the reference, what is wrong and the next step, and never what is stored."""
    for tenant_id, (text, _) in NOT_KEYS.items():
        harness.add_tenant(tenant_id)
        (harness.folder / tenant_id).write_text(text)
        (harness.folder / tenant_id).chmod(0o600)

    check = run_here(harness.folder, "check", "--json", **harness.settings)
    assert check.returncode == 2
    document = json.loads(check.stdout)
    states = {one["tenant"]: one["credential"]["state"] for one in document["checks"]}
    assert states == dict.fromkeys(NOT_KEYS, "misconfigured")
    assert not harness.sandbox.request_log.by_account
    messages = {error["tenant"]: error["message"] for error in document["errors"]}

    doctor = run_here(harness.folder, "doctor", "--json", **harness.settings)
    found = {finding["tenant"]: finding for finding in json.loads(doctor.stdout)["findings"]}
    for tenant_id, (_, said) in NOT_KEYS.items():
        reference = f"file:{harness.folder / tenant_id}"
        assert messages[tenant_id] == f"{reference}: the key {messages[tenant_id].partition(': the key ')[2]}"
        assert said in messages[tenant_id], tenant_id
        assert messages[tenant_id].endswith("store the key itself and nothing else"), tenant_id
        assert found[tenant_id]["message"].startswith(f"key: {reference}: "), tenant_id
        assert said in found[tenant_id]["message"], tenant_id
        assert found[tenant_id]["next_step"] == "store the key itself and nothing else", tenant_id
    assert A_KEY[:9] not in check.stdout + check.stderr + doctor.stdout + doctor.stderr


def test_a_key_that_cannot_be_read_now_is_unreachable_in_a_one_shot(harness: ServiceHarness) -> None:
    """An empty file may be about to be filled; an empty variable cannot fill itself."""
    for tenant_id in ("file", "variable"):
        harness.add_tenant(tenant_id)
    (harness.folder / "file").write_text("")
    harness.rows[1]["credential"]["key"] = "env:HOME_OF_A_KEY"
    harness.write()
    check = run_here(harness.folder, "check", "--json", **harness.settings)
    document = json.loads(check.stdout)
    ends = {one["tenant"]: (one["credential"]["state"], one["credential"]["detail"]) for one in document["checks"]}
    assert ends == {"file": ("unreachable", "secret_source"), "variable": ("misconfigured", "misconfigured")}
    assert check.returncode == 2
    assert not harness.sandbox.request_log.by_account


def states_of(events: list[dict[str, object]]) -> list[object]:
    return [(event["kind"], event["state"]) for event in events if event["kind"] in ("credential_failed", "recovered")]


def told_to_the_operator(harness: ServiceHarness) -> str:
    mails = (message_from_bytes(path.read_bytes(), policy=policy.default) for path in harness.emails(""))
    bodies = (mail.get_body(("plain",)) for mail in mails if mail["To"] == "ops@vendor.example")
    return " ".join(" ".join(body.get_content() for body in bodies if body is not None).split())


def looks_without_a_secret(service: ServeProcess, count: int) -> None:
    until(lambda: len(service.logged("secret_not_read")) >= count)


def test_a_file_truncated_and_written_again_between_two_checks_changes_nothing(harness: ServiceHarness) -> None:
    """One look found it empty: nothing is recorded, and nobody is told."""
    harness.add_tenant("acme")
    key = (harness.folder / "acme").read_text()
    with harness.serve(interval="5s", confirm_after="5s") as service:
        before = len(checked(service, "acme"))
        os.truncate(harness.folder / "acme", 0)
        looks_without_a_secret(service, 1)
        (harness.folder / "acme").write_text(key)
        seen = checked(service, "acme", more_than=before + 1)
        assert "unreachable" in [line["state"] for line in seen]
        assert seen[-1]["state"] == "ok"
        assert {line["confirmed"] for line in seen} == {"compliant"}
        assert states_of(harness.history()) == []
        assert harness.tenants()["acme"]["state"] == "ok"
    assert harness.emails("acme") == []


def test_a_file_that_stays_empty_is_told_to_the_operator_and_its_return_as_well(harness: ServiceHarness) -> None:
    """After two looks, as unreachable: never as misconfigured, and never to the CSM."""
    harness.add_tenant("acme")
    key = (harness.folder / "acme").read_text()
    with harness.serve() as service:
        checked(service, "acme")
        os.truncate(harness.folder / "acme", 0)
        until(lambda: harness.tenants()["acme"]["state"] == "unreachable")
        assert all("file is empty" in line["problem"] for line in service.logged("secret_not_read"))
        until(lambda: "the secret could not be read this time" in told_to_the_operator(harness).lower())
        (harness.folder / "acme").write_text(key)
        until(lambda: harness.tenants()["acme"]["state"] == "ok")
        assert states_of(harness.history()) == [("credential_failed", "unreachable"), ("recovered", "unreachable")]
    assert harness.emails("acme") == []


@contextmanager
def no_file_handles(process_id: int) -> Iterator[None]:
    """The process can open no file and no connection; those it has stay open."""
    before = resource.prlimit(process_id, resource.RLIMIT_NOFILE)
    resource.prlimit(process_id, resource.RLIMIT_NOFILE, (3, before[1]))
    try:
        yield
    finally:
        resource.prlimit(process_id, resource.RLIMIT_NOFILE, before)


def test_a_service_without_file_handles_calls_no_key_misconfigured(harness: ServiceHarness) -> None:
    """Nor does it forget a tenants file that changed meanwhile: both are read when there are handles again."""
    harness.add_tenant("acme")
    with harness.serve() as service:
        checked(service, "acme")
        with no_file_handles(service.process.pid):
            looks_without_a_secret(service, 2)
            harness.add_tenant("globex")
            until(lambda: [line for line in service.logged("beat_failed") if "right now" in line.get("problem", "")])
        assert "Too many open files" in service.logged("secret_not_read")[0]["problem"]
        checked(service, "globex")
        checked(service, "acme", more_than=len(checked(service, "acme")))
        until(lambda: harness.tenants()["acme"]["state"] == "ok")
        assert "misconfigured" not in str(harness.history())
        assert service.stop() == 0


def test_a_key_is_checked_as_soon_as_its_file_is_there(harness: ServiceHarness) -> None:
    """Not at the next interval, which is hours away."""
    harness.add_tenant("acme")
    key = (harness.folder / "acme").rename(harness.folder / "later")
    with harness.serve(interval="4h") as service:
        assert checked(service, "acme")[-1]["state"] == "misconfigured"
        key.rename(harness.folder / "acme")
        assert checked(service, "acme", more_than=1)[-1]["state"] == "ok"
        assert service.stop() == 0
