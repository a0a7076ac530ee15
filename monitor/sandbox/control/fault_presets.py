"""Weathers: faults with a name, to be called up as a whole for one or for all, for a while or until it is clear."""

from dataclasses import dataclass
from functools import cache
from importlib import resources

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from monitor.errors import ConfigurationError
from monitor.sandbox.faults.http import Fault
from monitor.sandbox.faults.mail import MailFault
from monitor.sandbox.greenhouse.settings import in_words
from monitor.sandbox.sandbox import Sandbox

CLEAR = "clear"
_SIDES: dict[str, type[Fault] | type[MailFault]] = {"greenhouse": Fault, "mail": MailFault}


@dataclass(frozen=True, slots=True)
class FaultPreset:
    """One kind of trouble, as a reader would tell it, and the fault that makes it."""

    name: str
    meaning: str
    fault: Fault | MailFault

    @property
    def is_of_mail(self) -> bool:
        return isinstance(self.fault, MailFault)


@cache
def presets() -> dict[str, FaultPreset]:
    """Every weather by its name; those of the mail server begin with `mail-`."""
    content = yaml.safe_load(
        resources.files("monitor.sandbox.control").joinpath("fault_presets.yaml").read_text("utf-8")
    )
    return {
        name: FaultPreset(name, row["meaning"], _SIDES[side].model_validate(row["fault"]))
        for side, rows in content.items()
        for name, row in rows.items()
    }


class PresetRequest(BaseModel):
    """A weather to turn to: for one account or recipient or for all, for so many seconds or until another comes."""

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
        if self.name != CLEAR and self.account is not None and presets()[self.name].is_of_mail:
            raise ValueError(f"{self.name} is the mail server's: name a recipient, not an account")
        if self.name != CLEAR and self.recipient is not None and not presets()[self.name].is_of_mail:
            raise ValueError(f"{self.name} is Greenhouse's: name an account, not a recipient")
        return self

    def fault(self) -> Fault | MailFault:
        """The weather's fault, as it was asked for. Raises ConfigurationError."""
        fault = presets()[self.name].fault
        asked = self.model_dump(exclude={"name"}, exclude_none=True)
        try:
            return type(fault).model_validate(fault.model_dump() | asked)
        except ValidationError as problem:
            raise ConfigurationError(f"weather {self.name}: {in_words(problem)}") from None


def turn(sandbox: Sandbox, wanted: PresetRequest) -> None:
    """Let one weather follow another for the same account or recipient, or for all. Raises ConfigurationError.

    `clear` ends every weather, or those for one. Faults that came with no weather stay.
    """
    office = sandbox.post_office
    if wanted.name == CLEAR:
        if wanted.recipient is None:
            sandbox.faults.clear_weather(wanted.account)
        if wanted.account is None:
            office.faults.clear_weather(wanted.recipient)
        return
    fault = wanted.fault()
    if isinstance(fault, MailFault):
        office.faults.turn(fault, wanted.name)
        return
    if fault.account is not None:
        sandbox.account(fault.account)
    sandbox.faults.turn(fault, wanted.name)
