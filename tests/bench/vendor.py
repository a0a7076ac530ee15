"""A vendor of any size: a tenants file, a key for each tenant, and the settings for checking them."""

from dataclasses import dataclass
from pathlib import Path

from monitor.config import settings_loader
from monitor.config.settings import Settings

LABEL = "Gem Harvest API Key"

_ROW = """\
  - id: customer-{number:05}
    name: Customer {number:05} Inc.
    csm: {{name: Dana Reyes, email: dana.{number:05}@vendor.example}}
    credential: {{kind: harvest-key, label: {label}, key: "file:{key}"}}
"""


@dataclass(frozen=True, slots=True)
class BenchVendor:
    folder: Path
    tenants: int

    @classmethod
    def of(cls, folder: Path, tenants: int) -> "BenchVendor":
        """Write the files, with a different key for each tenant."""
        folder.mkdir(parents=True)
        keys = folder / "keys"
        keys.mkdir()
        rows = []
        for number in range(tenants):
            (keys / f"{number:05}").write_text(key_of(number), "ascii")
            (keys / f"{number:05}").chmod(0o600)
            rows.append(_ROW.format(number=number, label=LABEL, key=keys / f"{number:05}"))
        (folder / "tenants.yaml").write_text("tenants:\n" + "".join(rows), "utf-8")
        return cls(folder, tenants)

    @property
    def tenants_file(self) -> Path:
        return self.folder / "tenants.yaml"

    @property
    def database(self) -> Path:
        return self.folder / "harvest-monitor.sqlite3"

    def settings(self, **others: object) -> dict[str, object]:
        """No rate limit, every write probe allowed, no notices; `others` take precedence."""
        return {
            "tenants": str(self.tenants_file),
            "database_url": f"sqlite:///{self.database}",
            "write_probes": "all",
            "requests_per_second": 0,
            "notices": "off",
            "listen": "127.0.0.1:0",
            **others,
        }

    def loaded(self, **others: object) -> Settings:
        return settings_loader.load(**self.settings(**others))


def key_of(number: int) -> str:
    """A key that looks like one of Greenhouse's."""
    return f"{number:032x}-{number % 10}"
