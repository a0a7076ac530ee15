"""The TOML file with settings that HARVEST_MONITOR_CONFIG names."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from checks.text_file import NotUtf8, decoded
from monitor.errors import ConfigurationError

CONFIG = "HARVEST_MONITOR_CONFIG"


def config_file(environ: Mapping[str, str]) -> dict[str, Any]:
    """What stands in the file; nothing if none is named."""
    path = environ.get(CONFIG)
    if not path:
        return {}
    try:
        return tomllib.loads(decoded(Path(path).read_bytes()))
    except OSError as problem:
        raise ConfigurationError(f"{CONFIG}: {path} cannot be read ({problem.strerror}): correct the path") from None
    except NotUtf8 as problem:
        raise ConfigurationError(f"{path}:{problem.line}: is not UTF-8: save the file as UTF-8") from None
    except tomllib.TOMLDecodeError as problem:
        raise ConfigurationError(f"{path}: is not TOML: {problem}: correct it there") from None
