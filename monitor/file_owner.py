"""Whose a new file is: a command that root runs once leaves nothing behind that the service's user cannot read."""

import os
from contextlib import suppress
from pathlib import Path


def give_to_owner_of(handle: int, other: Path) -> None:
    """Root gives a new file, open as `handle`, to the owner and the group of another file, or of the folder it is in.

    The service's own folder belongs to its user. For everybody but root a new file is one's own, as always.
    """
    if os.geteuid() == 0:
        place = other.stat()
        with suppress(PermissionError):  # a root without this privilege, as in some containers
            os.fchown(handle, place.st_uid, place.st_gid)
