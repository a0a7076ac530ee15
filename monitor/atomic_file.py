"""Files that appear under their name only when complete and on disk: nobody ever reads half of one."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from monitor.file_owner import give_to_owner_of


@contextmanager
def atomic_file(path: Path, *, overwrite: bool) -> Iterator[Path]:
    """Yields an empty file beside `path` to fill, readable only by its owner; on exit it becomes `path`.

    FileExistsError if `path` exists and must not be overwritten; of two processes at once, one wins. On any error
    nothing is left behind.
    """
    if not overwrite and path.exists():
        raise FileExistsError(path)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    temporary = Path(name)
    try:
        try:
            give_to_owner_of(handle, path if path.exists() else path.parent)
        finally:
            os.close(handle)
        yield temporary
        # On disk before it has the name: after a power failure the name must not lead to an empty file.
        _sync(temporary)
        if overwrite:
            temporary.replace(path)
        else:
            _take_name(temporary, path)
        with suppress(OSError):  # some network drives cannot sync a folder
            _sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _take_name(temporary: Path, path: Path) -> None:
    try:
        # Fails if the name is taken; a rename would replace the other file.
        path.hardlink_to(temporary)
    except FileExistsError:
        raise
    except OSError:  # a drive without hard links: a file created at this very moment would be overwritten
        if path.exists():
            raise FileExistsError(path) from None
        temporary.replace(path)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
