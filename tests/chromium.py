"""Debian's chromium, which shows our pages to tests and takes README's pictures."""

import shutil

from tests.real_part import PartUnavailable


class ChromiumUnavailable(PartUnavailable):
    """chromium is not installed on this machine: apt-get install chromium (Debian)."""


def chromium_path() -> str:
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        raise ChromiumUnavailable(ChromiumUnavailable.__doc__)
    return found
