"""Loads the settings of this process, and says of every wrong one where it is written and what to do."""

import os
import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any
from urllib.parse import unquote, urlsplit

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from monitor import database_address
from monitor.config import addresses
from monitor.config.config_file import CONFIG
from monitor.config.settings import PREFIX, Settings
from monitor.errors import ConfigurationError
from monitor.redaction import redactor

# For a service named harvest-monitor, Kubernetes sets variables such as HARVEST_MONITOR_SERVICE_HOST and
# HARVEST_MONITOR_PORT=tcp://10.0.0.1:9808 in every pod; they are not settings.
_KUBERNETES_VARIABLE = re.compile(
    r"(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)=.*"
    r"|(\w+_)?PORT=(tcp|udp|sctp)://.*",
    re.DOTALL,
)


def load(**overrides: Any) -> Settings:
    """The settings of this process; ConfigurationError names every wrong variable or key, but no value."""
    problems = list(_unknown_variables(os.environ))
    try:
        settings = Settings(**overrides)
    except ValidationError as error:
        problems += [_problem(detail, overrides) for detail in error.errors(include_url=False, include_input=False)]
    if problems:
        raise ConfigurationError("\n".join(problems))
    _mask_passwords(settings)
    return settings


def _mask_passwords(settings: Settings) -> None:
    """Keep the passwords in addresses out of the log."""
    proxy = urlsplit(settings.http_proxy.get_secret_value()).password if settings.http_proxy else None
    mail = settings.mail_target
    passwords = [
        *database_address.secrets_in(settings.database),
        mail.password if isinstance(mail, addresses.MailServer) else None,
        unquote(proxy) if proxy else None,
        settings.oidc_client_secret.get_secret_value() if settings.oidc_client_secret else None,
    ]
    for password in filter(None, passwords):
        redactor.learn(password)


def _unknown_variables(environ: Mapping[str, str]) -> Iterable[str]:
    # pydantic-settings ignores unknown variables: its extra="forbid" covers the file only.
    known = {name.upper() for name in Settings.model_fields}
    for variable, value in sorted(environ.items()):
        name = variable.removeprefix(PREFIX)
        if name in known or variable == CONFIG or not variable.startswith(PREFIX) or not value:
            continue
        if not _KUBERNETES_VARIABLE.fullmatch(f"{name}={value}"):
            yield (
                f"{variable}: is not a setting{_did_you_mean(name, known, PREFIX)}; every variable that begins with "
                f"{PREFIX} is read as a setting, so name variables for keys differently"
            )


def _did_you_mean(name: str, known: Iterable[str], prefix: str = "") -> str:
    close = get_close_matches(name, known, n=1)
    return f": did you mean {prefix}{close[0]}?" if close else ""


def _problem(detail: ErrorDetails, overrides: Mapping[str, Any]) -> str:
    if not detail["loc"]:
        return _message(detail)
    name = str(detail["loc"][0])
    if detail["type"] == "extra_forbidden":
        return (
            f"{_place(name, overrides)}: is not a setting{_did_you_mean(name, Settings.model_fields) or ': remove it'}"
        )
    return f"{_place(name, overrides)}: {_message(detail)}"


def _message(detail: ErrorDetails) -> str:
    if detail["type"] == "value_error":
        return str(detail["ctx"]["error"])
    return detail["msg"].replace("Input should", "must").replace("Path does not", "does not")


def _place(name: str, overrides: Mapping[str, Any]) -> str:
    """Where the value came from: caller, environment, or file."""
    variable = PREFIX + name.upper()
    if name in overrides or (name in Settings.model_fields and os.environ.get(variable)):
        return variable
    return f"{os.environ.get(CONFIG)}: {name}"
