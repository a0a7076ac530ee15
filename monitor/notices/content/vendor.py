"""Who writes to CSMs and customers: the vendor, as the operator wants it named in emails."""

from dataclasses import dataclass

from checks.catalogue.entry import WriteProbes
from monitor.config.settings import Settings
from monitor.notices.wording import clean, duration


@dataclass(frozen=True, slots=True)
class Vendor:
    """`name`, `contact` and `handover` are empty where the operator set none; `only_reads`: write probes are off."""

    name: str = ""
    contact: str = ""
    handover: str = ""
    checks_every: str = "4 hours"
    only_reads: bool = True

    @classmethod
    def of(cls, settings: Settings) -> "Vendor":
        return cls(
            name=clean(settings.vendor_name or ""),
            contact=clean(settings.support_contact or ""),
            handover=clean(settings.secret_handover or ""),
            checks_every=duration(settings.interval),
            only_reads=settings.write_probes is WriteProbes.OFF,
        )

    @property
    def called(self) -> str:
        """Within a sentence; `begins` is for its beginning."""
        return self.name or "our integration"

    @property
    def begins(self) -> str:
        return self.name or "Our integration"

    def signed(self, who: str) -> str:
        """Below a letter: a person of the vendor, or the vendor alone; empty where neither has a name."""
        return f"{who} ({self.name})" if who and self.name else who or self.name

    @property
    def handover_is_address(self) -> bool:
        return self.handover.startswith(("https://", "http://")) and " " not in self.handover
