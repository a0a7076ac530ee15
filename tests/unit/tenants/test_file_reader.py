import re
import traceback
from datetime import date
from pathlib import Path

import pytest
import yaml

from checks.catalogue.entry import WriteProbes
from checks.credential import CredentialKind
from monitor.errors import ConfigurationError
from monitor.tenants.file import (
    CredentialConfig,
    Declined,
    Grant,
    OAuthConfig,
    Paused,
    TenantConfig,
    TenantsFile,
)
from monitor.tenants.file_reader import read_tenants_file
from tests.paths import FIXTURES, ROOT

KEY = "5a1f0c3e9b7d2468ace013579bdf2468-1"


def read_text(folder: Path, text: str) -> TenantsFile:
    path = folder / "tenants.yaml"
    path.write_text(text, "utf-8")
    return read_tenants_file(path)


def one_tenant(folder: Path, text: str) -> TenantConfig:
    found = read_text(folder, f"tenants:\n{text}")
    assert found.problems == ()
    (tenant,) = found.tenants
    return tenant


def row(**fields: str) -> str:
    """The text of a valid row, with the given fields replaced, or left out if given empty."""
    valid = {"id": "acme", "name": "Acme", "credential": '{kind: harvest-key, label: Gem, key: "env:ACME"}'}
    lines = [f"{name}: {value}" for name, value in {**valid, **fields}.items() if value]
    return "tenants:\n  - " + "\n    ".join(lines) + "\n"


def test_valid_rows_are_read_completely() -> None:
    """Every field of a row is read, in either form of the credential and in any script."""
    found = read_tenants_file(FIXTURES / "tenants" / "good.yaml")

    acme, seven, no = found.tenants
    assert found.problems == ()
    assert (acme.id, acme.name, acme.csm_name, acme.csm_email) == (
        "acme",
        "Acme Corp",
        "Dana Reyes",
        "dana@vendor.example",
    )
    assert acme.credentials == (
        CredentialConfig("Gem Harvest API Key", CredentialKind.HARVEST_KEY, "env:ACME_HARVEST_KEY", None),
    )
    assert acme.features == ("eeoc",)
    assert acme.write_probes is WriteProbes.SAFE
    assert acme.declined == (Declined("PUT: Merge two candidates", "ticket 4711", date(2026, 5, 2), None),)
    assert acme.line == 3
    assert (seven.id, seven.name, seven.csm_name) == ("007", "Żółw & Söhne 株式会社", "山田 花子")
    assert [credential.manifest for credential in seven.credentials] == [None, "scheduling.yaml"]
    assert seven.write_probes is WriteProbes.OFF  # YAML 1.1 would make `off` a boolean, and `no` too
    assert (no.id, no.name, no.csm_email, no.write_probes) == ("no", "No", None, None)


def test_a_bad_row_affects_only_itself() -> None:
    """Valid rows among wrong ones are read, and each problem names file, line, field and tenant."""
    path = FIXTURES / "tenants" / "mixed.yaml"

    found = read_tenants_file(path)

    assert [tenant.id for tenant in found.tenants] == ["right-1", "right-2", "right-3"]
    problems = [
        (problem.tenant_id, problem.line, problem.message.removeprefix(f"{path}:")) for problem in found.problems
    ]
    assert [(tenant, line, message.partition(": ")[0]) for tenant, line, message in problems] == [
        ("literal", 6, "8"),
        ("right-1", 9, "9"),
        (None, 12, "12"),
        ("unknown-key", 13, "15"),
        ("unknown-key", 13, "16"),
        (None, 17, "17"),
        ("injected", 25, "26"),
        ("injected", 25, "27"),
        ("injected", 25, "27"),
        ("injected", 25, "28"),
    ]
    assert all(message.endswith(f"(tenant {tenant})") for tenant, _, message in problems if tenant)
    assert "tenants[1].credential.key: this is not a reference" in problems[0][2]
    assert KEY not in str(found)


def test_the_second_of_two_rows_with_one_id_is_refused(tmp_path: Path) -> None:
    """The first row counts, even if it is the wrong one; the problem names both lines."""
    found = read_text(tmp_path, row() + row(name="Second").removeprefix("tenants:\n"))
    assert [tenant.name for tenant in found.tenants] == ["Acme"]
    assert "tenants.yaml:5: tenants[1].id: is already the id of the tenant on line 2" in found.problems[0].message

    found = read_text(tmp_path, row(name="") + row(name="Second").removeprefix("tenants:\n"))
    assert found.tenants == ()
    assert len(found.problems) == 2


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"id": ""}, "id: is missing"),
        ({"name": ""}, "name: is missing"),
        ({"id": "a b"}, "id: must be 1 to 64 letters"),
        ({"id": "a" * 65}, "id: must be 1 to 64 letters"),
        ({"id": "."}, "id: must be .*, not `.` or `..`"),
        ({"id": ".."}, "id: must be .*, not `.` or `..`"),
        ({"id": "[a]"}, "id: must be a text"),
        ({"name": '""'}, "name: must not be empty"),
        ({"name": "n" * 201}, "name: is longer than 200 characters"),
        ({"name": '"a\\tb"'}, "name: holds a line break or another control character"),
        ({"csm": "Dana"}, "csm: must be a mapping"),
        ({"csm": "{name: Dana}"}, "csm.email: is missing"),
        ({"csm": "{name: Dana, email: dana.vendor.example}"}, "csm.email: must be an email address, with an @"),
        ({"csm": "{name: Jörg, email: jörg@v.example}"}, "csm.email: has a character outside ASCII.*another address"),
        ({"csm": "{name: Dana, email: dana@bü_cher.example}"}, "csm.email: has a domain that cannot be sent as xn--"),
        ({"csm": '{name: Dana, email: "dana@v.example\\nBcc: x@y"}'}, "csm.email: .*without a line break"),
        ({"csm": "{name: Dana, email: dana@v.example, email: lee@v.example}"}, "email: occurs twice"),
        ({"features": "eeoc"}, "features: must be a list"),
        ({"features": "[{eeoc: true}]"}, r"features\[0\]: must be a text"),
        ({"write_probes": "on"}, "write_probes: must be 'off', 'safe' or 'all'"),
        ({"declined": "[PUT]"}, r"declined\[0\]: must be a mapping"),
        ({"declined": "[{permission: PUT}]"}, r"declined\[0\].reference: is missing"),
        ({"declined": "[{permission: P, reference: r, since: May}]"}, r"declined\[0\].since: "),
        ({"paused": "true"}, r"paused: needs to say why; write `paused: \{reference: "),
        ({"paused": "~"}, r"paused: needs to say why"),
        ({"paused": "{since: 2026-05-02}"}, r"paused.reference: is missing"),
        ({"paused": "{reference: r, permission: P}"}, r"paused.permission: is no field"),
        ({"credential": ""}, "needs either `credential:` for one, or `credentials:` for a list"),
        ({"credentials": "[{kind: harvest-key, label: Gem, key: env:B}]"}, "needs either `credential:`"),
        ({"credential": "", "credentials": "[]"}, "credentials: must hold 1 or more"),
        ({"credential": "env:ACME"}, "credential: must be a mapping"),
        ({"credential": "{kind: harvest-key, key: env:A}"}, "credential.label: is missing"),
        ({"credential": "{kind: harvest-key, label: Gem}"}, "credential: harvest-key needs a key"),
        ({"credential": "{kind: harvest-v4, label: Gem, key: env:A}"}, "credential.kind: must be 'harvest-key' or"),
        (
            {"credential": "{kind: harvest-key, label: Gem, key: env:A, token: mint}"},
            "takes only label, key and manifest",
        ),
        ({"credential": f"{{kind: harvest-key, label: Gem, key: {KEY}}}"}, "credential.key: this is not a reference"),
        ({"credential": f"{{kind: harvest-key, label: Gem, key: 'env:{KEY}'}}"}, "credential.key: env: takes the name"),
        (
            {"credential": "{kind: harvest-key, label: Gem, key: 'sealed:x'}"},
            "credential.key: sealed: references are not",
        ),
        (
            {"credential": f"{{kind: harvest-key, label: Gem, secret: {KEY}, key: env:A}}"},
            "credential.secret: is no field",
        ),
        (
            {
                "credential": "",
                "credentials": "[{kind: harvest-key, label: G, key: env:A}, {kind: harvest-key, label: G, key: env:B}]",
            },
            "two credentials have the same label",
        ),
    ],
)
def test_every_mistake_in_a_row_is_reported(tmp_path: Path, fields: dict[str, str], message: str) -> None:
    """Each mistake has its own message that names the field and repeats no value."""
    found = read_text(tmp_path, row(**fields))

    assert found.tenants == ()
    assert re.search(message, found.problems[0].message), found.problems
    assert re.match(rf"{tmp_path}/tenants.yaml:\d+: ", found.problems[0].message)
    assert KEY not in str(found.problems)
    assert "\n" not in found.problems[0].message


OAUTH = 'kind: harvest-oauth, label: Gem, client_id: "env:ID", client_secret: "file:/s"'


@pytest.mark.parametrize(
    ("more", "oauth"),
    [
        ('token: "file:/t"', OAuthConfig("env:ID", "file:/t", Grant.CUSTOM)),
        (
            'token: "command:/bin/token {tenant} -v"',
            OAuthConfig("env:ID", "command:/bin/token {tenant} -v", Grant.CUSTOM),
        ),
        ('token: "file:/t", grant: partner', OAuthConfig("env:ID", "file:/t", Grant.PARTNER)),
        ("token: mint, sub: 17, organization: 4242", OAuthConfig("env:ID", "mint", Grant.CUSTOM, "4242", "17")),
    ],
)
def test_a_client_of_harvest_v3_is_read(tmp_path: Path, more: str, oauth: OAuthConfig) -> None:
    """Its references and how it was granted are read; `mint` is not a reference."""
    (tenant,) = read_text(tmp_path, row(credential=f"{{{OAUTH}, {more}}}")).tenants
    assert tenant.credentials == (CredentialConfig("Gem", CredentialKind.HARVEST_OAUTH, "file:/s", None, oauth),)


@pytest.mark.parametrize(
    ("credential", "message"),
    [
        ('kind: harvest-oauth, label: Gem, token: "file:/t"', "needs client_id, client_secret and token"),
        (OAUTH, "needs client_id, client_secret and token"),
        (f'{OAUTH}, token: "file:/t", key: "env:K"', "takes no key"),
        (f'{OAUTH}, token: "file:/t", sub: 17', "is allowed only with `token: mint`"),
        (f"{OAUTH}, token: mint, grant: partner", "does not mint tokens for a partner's client"),
        (f"{OAUTH}, token: {KEY}", "this is not a reference"),
        (f"{OAUTH}, token: minted", "this is not a reference"),
        (f"{OAUTH}, token: mint, organization: acme", "must be a number"),
        (f"{OAUTH}, token: mint, grant: mine", "grant"),
        (f'{OAUTH}, token: "command:token"', "takes the absolute path of a program"),
        (f"{OAUTH}, token: \"command:/bin/sh -c 'x'  y\"", "takes the absolute path of a program"),
        (f'{OAUTH}, token: "command:/bin/echo {KEY}"', "its argument 1 looks like a secret"),
        ('kind: harvest-key, label: Gem, key: "env:K", grant: partner', "takes only label, key and manifest"),
    ],
)
def test_an_incomplete_client_is_refused(tmp_path: Path, credential: str, message: str) -> None:
    """The problem names line, field and tenant, and shows nothing that may be a secret."""
    (problem,) = read_text(tmp_path, row(credential=f"{{{credential}}}")).problems
    assert message in problem.message
    assert problem.tenant_id == "acme"
    assert KEY not in problem.message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        ("", "is empty"),
        ("# nothing yet\n", "is empty"),
        ("tenants: [", "is not YAML"),
        ("- id: acme", "must be a mapping"),
        ("tenants:\n", "tenants: must be a list of one tenant or more"),
        ("tenants: []\n", "tenants: must be a list of one tenant or more"),
        ("tenants: {acme: 1}\n", "tenants: must be a list of one tenant or more"),
        ("tenant: []\n", "tenants: must be a list"),
        ("defaults: {}\ntenants: [{id: a}]\n", ":1: defaults: is not a field of this file"),
        ("tenants: [{id: a}]\ntenants: [{id: b}]\n", ":2: tenants: occurs twice"),
        ("tenants: [{id: a, name: \xff}]".encode("latin-1"), "is not UTF-8"),
        (f"tenants: {KEY}", "must be a list"),
        (f"tenants: *{KEY}", "not supported"),
    ],
)
def test_an_unusable_file_is_refused(tmp_path: Path, content: str | bytes | None, message: str) -> None:
    """A file without a list of tenants is refused; the error names the file and shows none of its content."""
    path = tmp_path / "tenants.yaml"
    if content is not None:
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    with pytest.raises(ConfigurationError, match=re.escape(message) if message.startswith(":") else message) as caught:
        read_tenants_file(path)
    assert str(path) in str(caught.value)
    assert KEY not in "".join(traceback.format_exception(caught.value))


def test_ids_are_of_every_tenant_that_the_file_mentions() -> None:
    """A tenant whose row is wrong does not count as removed."""
    found = read_tenants_file(FIXTURES / "tenants" / "mixed.yaml")

    assert found.ids == {"right-1", "right-2", "right-3", "literal", "unknown-key", "injected"}


def test_an_upgrade_changes_no_digest(tmp_path: Path) -> None:
    """It is stored: another one for the same row would make ten thousand tenants look changed at once."""
    assert one_tenant(tmp_path, row().removeprefix("tenants:\n")).row_digest == "b824085684600001"


def test_a_paused_tenant_says_why(tmp_path: Path) -> None:
    """The same fields as what is declined, without a permission."""
    paused = "{since: 2026-05-02, reference: ticket 4711, by: Dana}"
    found = one_tenant(tmp_path, row(paused=paused).removeprefix("tenants:\n"))
    assert found.paused == Paused("ticket 4711", date(2026, 5, 2), "Dana")
    assert one_tenant(tmp_path, row().removeprefix("tenants:\n")).paused is None


def test_the_digest_follows_the_content(tmp_path: Path) -> None:
    """Layout, comments and position of the row do not change it; any change of content does."""
    plain = one_tenant(tmp_path, row().removeprefix("tenants:\n"))
    moved = one_tenant(tmp_path, "\n\n# a comment\n" + row(name="'Acme'").removeprefix("tenants:\n"))
    assert moved.row_digest == plain.row_digest
    assert moved.line != plain.line

    changes = [
        {"name": "Acme Inc"},
        {"csm": "{name: Dana, email: dana@vendor.example}"},
        {"features": "[eeoc]"},
        {"write_probes": "off"},
        {"declined": "[{permission: P, reference: r}]"},
        {"paused": "{reference: r}"},
        {"paused": "{reference: r, since: 2026-05-02}"},
        {"credential": "{kind: harvest-key, label: Gem, key: env:OTHER}"},
        {"credential": "{kind: harvest-key, label: Gem, key: env:ACME, manifest: other}"},
    ]
    digests = {one_tenant(tmp_path, row(**change).removeprefix("tenants:\n")).row_digest for change in changes}
    assert len(digests | {plain.row_digest}) == len(changes) + 1


def test_the_example_in_the_docs_is_valid(tmp_path: Path) -> None:
    """The example in docs/tenants-file.md is valid, and its tables name every field."""
    text = (ROOT / "docs" / "tenants-file.md").read_text("utf-8")
    (example,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)

    found = read_text(tmp_path, example)

    assert found.problems == ()
    assert len(found.tenants) == 4
    shown = yaml.safe_load(example)["tenants"]
    fields = {name for entry in shown for name in entry}
    fields |= {
        name
        for entry in shown
        for one in [entry.get("credential"), *entry.get("credentials", [])]
        for name in one or {}
    }
    documented = {
        name
        for cell in re.findall(r"^\| (`\w+`(?:, `\w+`)?) \|", text, re.MULTILINE)
        for name in re.findall(r"\w+", cell)
    }
    assert documented == fields
