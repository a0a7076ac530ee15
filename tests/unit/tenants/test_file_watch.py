"""A file that appears, changes or is replaced is noticed once it rests; one that is gone says nothing."""

import os
from pathlib import Path

from monitor.tenants.file_watch import SETTLED_SECONDS, FileWatch, Seen

NOTHING = Seen(frozenset(), frozenset())


class Folder:
    """Files, and a watch that looks at them some time after the last change."""

    def __init__(self, folder: Path) -> None:
        self.key = folder / "key"
        self._watch = FileWatch()

    def look(self, after: float = SETTLED_SECONDS + 1) -> Seen:
        now = self.key.stat().st_ctime if self.key.exists() else 0.0
        return self._watch.look([str(self.key)], now + after)

    @property
    def changed(self) -> Seen:
        return Seen(frozenset([str(self.key)]), frozenset())


def test_a_file_is_noticed_when_it_appears(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    assert folder.look() == NOTHING
    folder.key.write_text("1")
    assert folder.look() == folder.changed
    assert folder.look() == NOTHING


def test_what_was_there_before_is_told_apart(tmp_path: Path) -> None:
    """It may have been missing when it was last read, which somebody else knows."""
    folder = Folder(tmp_path)
    folder.key.write_text("1")
    assert folder.look() == Seen(frozenset(), frozenset([str(folder.key)]))


def test_every_way_to_change_a_file_is_noticed(tmp_path: Path) -> None:
    """Also one that keeps size and time, as copying programs do; and other permissions, which may let us read it."""
    folder = Folder(tmp_path)
    folder.key.write_text("1")
    folder.look()
    before = folder.key.stat()

    def renamed() -> None:
        (other := tmp_path / "new").write_text("2")
        os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
        other.replace(folder.key)

    def touched() -> None:
        os.utime(folder.key, (1, 1))

    for change in (lambda: folder.key.write_text("22"), renamed, touched, lambda: folder.key.chmod(0o400)):
        change()
        assert folder.look() == folder.changed, change
        assert folder.look() == NOTHING, change


def test_a_mounted_secret_of_kubernetes_is_noticed(tmp_path: Path) -> None:
    """It swaps a link to a folder; the path itself and the link in it stay as they are."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "key").write_text("same size")
    (tmp_path / "..data").symlink_to("one")
    folder = Folder(tmp_path)
    folder.key.symlink_to("..data/key")
    folder.look()
    (tmp_path / "..new").symlink_to("two")
    (tmp_path / "..new").replace(tmp_path / "..data")
    assert folder.look() == folder.changed


def test_a_file_that_is_gone_counts_when_it_is_back(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.key.write_text("1")
    folder.look()
    folder.key.unlink()
    assert folder.look() == NOTHING
    folder.key.write_text("1")
    assert folder.look() == folder.changed


def test_a_file_that_is_being_written_is_left_alone(tmp_path: Path) -> None:
    """Until it was not touched for a moment, or looks the same twice: clocks of network drives may be ahead."""
    folder = Folder(tmp_path)
    folder.key.write_text("1")
    folder.look()
    for text in ("12", "123"):
        folder.key.write_text(text)
        assert folder.look(after=0.5) == NOTHING
    assert folder.look(after=-3600) == folder.changed
