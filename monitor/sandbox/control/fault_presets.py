"""Fault presets: faults with a name, for one account or recipient or for all, for a time or until cleared.

Commands, URLs and JSON call a preset a weather.
"""

from dataclasses import dataclass
from functools import cache
from importlib import resources

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from monitor.errors import ConfigurationError
from monitor.sandbox.faults.http import Fault
from monitor.sandbox.faults.mail import MailFault
from monitor.sandbox.greenhouse.settings import summary
from monitor.sandbox.sandbox import Sandbox

CLEAR = "clear"
_SIDES: dict[str, type[Fault] | type[MailFault]] = {"greenhouse": Fault, "mail": MailFault}


@dataclass(frozen=True, slots=True)
class FaultPreset:
    """A name, what it means for a reader, and the fault that it activates."""

    name: str
    meaning: str
    fault: Fault | MailFault

    @property
    def is_for_mail(self) -> bool:
        return isinstance(self.fault, MailFault)


@cache
def presets() -> dict[str, FaultPreset]:
    """All presets by name; those of the mail server begin with `mail-`."""
    file = resources.files("monitor.sandbox.control").joinpath("fault_presets.yaml")
    return {
        name: FaultPreset(name, row["meaning"], _SIDES[side].model_validate(row["fault"]))
        for side, rows in yaml.safe_load(file.read_text("utf-8")).items()
        for name, row in rows.items()
    }


class PresetRequest(BaseModel):
    """A preset to activate: for one account or recipient or for all, for so many seconds or until replaced."""

    model_config = ConfigDict(extra="forbid")

    name: str
    account: str | None = None
    recipient: str | None = None
    lasts: float | None = None
    share: float | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> "PresetRequest":
        if self.name not in (*presets(), CLEAR):
            raise ValueError(f"there is no weather {self.name!r}: use one of {', '.join(presets())}, or {CLEAR}")
        if self.account is not None and self.recipient is not None:
            raise ValueError("name an account of Greenhouse or a recipient of mail, not both")
        if self.name != CLEAR and self.account is not None and presets()[self.name].is_for_mail:
            raise ValueError(f"{self.name} is for the mail server: name a recipient, not an account")
        if self.name != CLEAR and self.recipient is not None and not presets()[self.name].is_for_mail:
            raise ValueError(f"{self.name} is for Greenhouse: name an account, not a recipient")
        return self

    def fault(self) -> Fault | MailFault:
        """The preset's fault with the request's own terms. Raises ConfigurationError."""
        fault = presets()[self.name].fault
        terms = self.model_dump(exclude={"name"}, exclude_none=True)
        try:
            return type(fault).model_validate(fault.model_dump() | terms)
        except ValidationError as problem:
            raise ConfigurationError(f"weather {self.name}: {summary(problem)}") from None


def activate(sandbox: Sandbox, wanted: PresetRequest) -> None:
    """Replace the preset that is active for the same account or recipient, or for all. Raises ConfigurationError.

    `clear` ends every preset, or those for one account or recipient. Faults that belong to no preset stay.
    """
    mail_faults = sandbox.mailbox.faults
    if wanted.name == CLEAR:
        if wanted.recipient is None:
            sandbox.faults.clear_presets(wanted.account)
        if wanted.account is None:
            mail_faults.clear_presets(wanted.recipient)
        return
    # Before the active one ends: a refused preset changes nothing.
    fault = wanted.fault()
    if isinstance(fault, MailFault):
        mail_faults.add_preset(fault, wanted.name)
        return
    if fault.account is not None:
        sandbox.account(fault.account)
    sandbox.faults.add_preset(fault, wanted.name)
