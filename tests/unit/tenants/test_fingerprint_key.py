import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from monitor.config.settings import Settings
from monitor.errors import ConfigurationError
from monitor.tenants.fingerprint_key import installation_key


def settings_in(folder: Path) -> Settings:
    return Settings(database_url=f"sqlite:///{folder}/monitor.sqlite3")


def test_the_key_is_created_in_the_folder_of_the_database(tmp_path: Path) -> None:
    """The first use creates 32 random bytes that only the owner can read; later uses find the same key."""
    key = installation_key(settings_in(tmp_path))

    path = tmp_path / "harvest-monitor.key"
    assert len(key) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert installation_key(settings_in(tmp_path)) == key
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


def test_two_installations_have_two_keys(tmp_path: Path) -> None:
    """The key is random."""
    one, other = Settings(installation_key=tmp_path / "one"), Settings(installation_key=tmp_path / "other")

    assert installation_key(one) != installation_key(other)


def test_processes_that_start_at_once_agree(tmp_path: Path) -> None:
    """Processes that create the key at the same moment all get the same one."""
    for round_number in range(20):
        settings = Settings(installation_key=tmp_path / str(round_number))
        with ThreadPoolExecutor(8) as pool:
            keys = set(pool.map(installation_key, [settings] * 8))
        assert keys == {installation_key(settings)}


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o644])
def test_a_key_open_to_everybody_is_refused(tmp_path: Path, mode: int) -> None:
    """A key that every user can read or write protects no fingerprint; the message shows the fix, not the key."""
    key = installation_key(settings_in(tmp_path))
    path = tmp_path / "harvest-monitor.key"
    path.chmod(mode)

    with pytest.raises(ConfigurationError, match=f"chmod 600 {path}") as caught:
        installation_key(settings_in(tmp_path))
    assert key.hex() not in str(caught.value)


def test_a_group_may_read_the_key(tmp_path: Path) -> None:
    """A key readable by the service's group is accepted, since Kubernetes mounts it so."""
    key = installation_key(settings_in(tmp_path))
    (tmp_path / "harvest-monitor.key").chmod(0o440)

    assert installation_key(settings_in(tmp_path)) == key


@pytest.mark.parametrize("content", ["", "secret", "ab" * 31, "ab" * 32 + "c", "x" * 64])
def test_a_file_without_a_key_is_refused(tmp_path: Path, content: str) -> None:
    """A file with anything but a key in it is neither used nor replaced."""
    path = tmp_path / "key"
    path.write_text(content)
    path.chmod(0o600)

    with pytest.raises(ConfigurationError, match="not an installation key"):
        installation_key(Settings(installation_key=path))
    assert path.read_text() == content


def test_a_key_that_cannot_be_created_is_an_error(tmp_path: Path) -> None:
    """If the folder is missing, the message says how to create the key by hand."""
    with pytest.raises(ConfigurationError, match="openssl rand -hex 32"):
        installation_key(Settings(installation_key=tmp_path / "missing" / "key"))


def test_with_postgres_the_key_must_be_named(tmp_path: Path) -> None:
    """No key is created where a restart would lose it or another worker cannot see it."""
    with pytest.raises(ConfigurationError, match="HARVEST_MONITOR_INSTALLATION_KEY"):
        installation_key(Settings(database_url="postgresql://h/d"))

    named = Settings(database_url="postgresql://h/d", installation_key=tmp_path / "key")
    assert len(installation_key(named)) == 32
