"""A vendor's folder and a sandbox, for tests of the whole service in its own process."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from monitor.sandbox.sandbox import Sandbox
from tests.command import ServeProcess, run_json, serving, until

QUICK = {
    "requests_per_second": 0,
    "interval": "3s",
    "confirm_after": "1s",
    "settle": "1s",
    "notices": "csm",
    "mail_from": "monitor@vendor.example",
    "operator_mail": "ops@vendor.example",
    "tenants_reload": "1s",
    "stop_timeout": "5s",
}


@dataclass
class ServiceHarness:
    """A vendor's folder with tenants, keys and settings, and a sandbox as Greenhouse."""

    folder: Path
    sandbox: Sandbox
    url: str
    rows: list[dict[str, Any]] = field(default_factory=list)

    @property
    def settings(self) -> dict[str, object]:
        return {**QUICK, "harvest_url": self.url, "smtp_url": f"mailbox:{self.folder / 'mail'}"}

    def add_tenant(self, tenant_id: str, grants: str = "gem") -> None:
        self.sandbox.add_account(tenant_id, limit=1_000_000)
        key = self.sandbox.add_key(tenant_id, grants)
        (self.folder / tenant_id).write_text(key.text)
        csm = {"name": "Dana", "email": f"csm-{tenant_id}@vendor.example"}
        credential = {"kind": "harvest-key", "label": "Key", "key": f"file:{self.folder / tenant_id}"}
        self.rows.append({"id": tenant_id, "name": tenant_id.title(), "csm": csm, "credential": credential})
        self.write()

    def write(self) -> None:
        new = self.folder / "new.yaml"
        new.write_text(yaml.safe_dump({"tenants": self.rows}))
        os.replace(new, self.folder / "tenants.yaml")

    def serve(self, **more: object) -> Any:
        return serving(self.folder, **{**self.settings, **more})

    def history(self) -> list[dict[str, Any]]:
        return list(run_json(self.folder, "history", **self.settings)["events"])

    def tenants(self, **more: object) -> dict[str, dict[str, Any]]:
        listed = run_json(self.folder, "tenants", "list", **{**self.settings, **more})
        return {tenant["id"]: tenant for tenant in listed["tenants"]}

    def emails(self, tenant_id: str) -> list[Path]:
        return sorted((self.folder / "mail").glob(f"{tenant_id}*.eml"))


def checked(service: ServeProcess, tenant_id: str, more_than: int = 0) -> list[dict[str, Any]]:
    """Waits until more than so many checks of the tenant are logged, and returns them."""

    def found() -> list[dict[str, Any]] | None:
        lines = [line for line in service.logged("checked") if line["tenant"] == tenant_id]
        return lines if len(lines) > more_than else None

    return list(until(found))
