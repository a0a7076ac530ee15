"""Every text file is read with the byte order mark that Windows' editors put first, as without it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from checks.manifest import Manifest, load
from monitor.config.config_file import CONFIG, config_file
from monitor.config.secrets import resolve_credential_reference, resolve_reference
from monitor.config.settings import Settings
from monitor.errors import ConfigurationError, SourceFailed
from monitor.sandbox.scenario import read_scenario
from monitor.tenants.file_reader import read_tenants_file
from monitor.tenants.fingerprint_key import installation_key
from tests.paths import ROOT

MARK = b"\xef\xbb\xbf"
KEY = "5a1f0c3e9b7d2468ace013579bdf2468-1"
TENANTS = 'tenants: [{id: acme, name: Acme, credential: {kind: harvest-key, label: K, key: "env:K"}}]'


def fingerprint_key(path: Path) -> bytes:
    path.chmod(0o600)
    return installation_key(Settings(installation_key=path))


READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "tenants file": (TENANTS, read_tenants_file),
    "settings": ('contact = "ops@vendor.example"', lambda path: config_file({CONFIG: str(path)})),
    "manifest.yaml": ((ROOT / "checks/manifests/gem.yaml").read_text("utf-8"), lambda path: facts(load(str(path)))),
    "scenario": ("accounts: [{name: acme}]", lambda path: list(read_scenario(path).accounts)),
    "secret": (KEY, lambda path: resolve_reference(f"file:{path}", environ={}).reveal()),
    "installation key": ("ab" * 32, fingerprint_key),
}


def facts(manifest: Manifest) -> object:
    return manifest.digest, len(manifest.permissions)


def test_a_mark_changes_nothing(tmp_path: Path) -> None:
    for name, (text, read) in READERS.items():
        (path := tmp_path / name).write_text(text, "utf-8")
        plain = read(path)
        path.write_bytes(MARK + path.read_bytes())
        assert read(path) == plain, name


async def test_a_program_may_print_the_mark(tmp_path: Path) -> None:
    """As it does that prints a file which begins with one."""
    (tmp_path / "key").write_bytes(MARK + KEY.encode() + b"\r\n")
    reference = f"command:/bin/cat {tmp_path}/key"
    printed = await resolve_credential_reference(
        reference, tenant_id="acme", environ={}, command_seconds=10, replacing_seconds=0
    )
    assert printed == KEY


def test_a_file_with_nothing_but_the_mark_is_empty(tmp_path: Path) -> None:
    """It may be about to be written, as any empty file."""
    (tmp_path / "key").write_bytes(MARK)
    with pytest.raises(SourceFailed, match="the file is empty"):
        resolve_reference(f"file:{tmp_path}/key", environ={})


def test_a_ca_bundle_with_the_mark_is_refused(tmp_path: Path) -> None:
    """OpenSSL reads it, and would leave out the first certificate without a word."""
    (bundle := tmp_path / "ca.pem").write_bytes(MARK + b"-----BEGIN CERTIFICATE-----\n")
    for name in ("ca_bundle", "smtp_ca_bundle", "oidc_ca_bundle"):
        with pytest.raises(ValueError, match="begins with a byte order mark"):
            Settings(**{name: bundle})


def test_another_encoding_is_named_with_its_line(tmp_path: Path) -> None:
    (path := tmp_path / "settings.toml").write_bytes("interval = '4h'\ncontact = 'Zoë'".encode("latin-1"))
    with pytest.raises(ConfigurationError, match=rf"{path}:2: is not UTF-8"):
        config_file({CONFIG: str(path)})
