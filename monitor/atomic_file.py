"""A file that gets its name when it is whole and on disk: nobody ever reads half of it."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def whole_file(path: Path, *, overwrite: bool) -> Iterator[Path]:
    """Gives an empty file beside `path` to fill, readable for its owner alone; afterwards it is `path`.

    FileExistsError where the name is taken and may not be overwritten: of two makers at once, one wins. Whatever goes
    wrong, nothing is left behind.
    """
    if not overwrite and path.exists():
        raise FileExistsError(path)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    os.close(handle)
    filled = Path(name)
    try:
        yield filled
        _sync(filled)
        if overwrite:
            filled.replace(path)
        else:
            _take_name(filled, path)
        with suppress(OSError):  # some network drives can not sync a folder
            _sync(path.parent)
    finally:
        filled.unlink(missing_ok=True)


def _take_name(filled: Path, path: Path) -> None:
    try:
        path.hardlink_to(filled)
    except FileExistsError:
        raise
    except OSError:  # a drive without hard links: what comes into being in this very moment would be overwritten
        if path.exists():
            raise FileExistsError(path) from None
        filled.replace(path)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
