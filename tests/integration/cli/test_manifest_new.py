"""`manifest new` and `manifest endpoints`: from a vendor's own list to a manifest, without opening the catalogue."""

import io
import json
from pathlib import Path

import pytest

from checks.manifest import load
from monitor import cli
from tests.paths import FIXTURES
from tests.terminal import on_terminal, too_wide

GUIDE = FIXTURES / "manifests" / "gem-setup-guide.txt"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_setup_guide_becomes_a_file_that_validates(capsys: pytest.CaptureFixture[str]) -> None:
    """Named after the manifest; what was recognized is on stdout, what is left to do on stderr."""
    assert cli.run(["manifest", "new", "lumen", "--from", str(GUIDE), "--title", "Lumen Scheduling"]) == 0
    shown = capsys.readouterr()
    assert "Offers\tGET: List offers\tGET /v1/offers\tharvest:offers:list\t\n" in shown.out
    assert "lumen.yaml: 65 permissions, 6 marked CHECK." in shown.err
    assert cli.run(["manifest", "validate", "lumen.yaml"]) == 0
    assert capsys.readouterr().err.splitlines() == [
        "65 without impact: emails do not say what stops working without them",
        "1 without an endpoint: they cannot be checked with a v1 key",
    ]
    manifest = load("lumen.yaml")
    assert (manifest.name, manifest.title, manifest.source) == ("lumen", "Lumen Scheduling", GUIDE.name)


def test_a_text_can_be_pasted(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`--from -` reads stdin, with the mark that some editors put at the beginning."""
    pasted = "\ufeffGET: List offers\nGET: Retrieve Jobs\nOur widget box.\n".encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(pasted)))
    assert cli.run(["manifest", "new", "lumen", "--from", "-"]) == 0
    told = capsys.readouterr().err
    assert "not known: 'GET: Retrieve Jobs' (line 2); perhaps 'GET: Retrieve job' or" in told
    assert "passed over as no permission: 3: Our widget box." in told


def test_labels_scopes_and_whole_groups_can_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    """The document has each with how it was matched."""
    arguments = ["lumen", "GET: List offers", "harvest:jobs:list", "--group", "tags", "--scope-group", "Webhooks"]
    assert cli.run(["manifest", "new", *arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [found["file"], found["manifest"]["name"], found["v3_source"]] == ["lumen.yaml", "lumen", "derived"]
    matches = {one["label"]: one["match"] for one in found["permissions"]}
    assert matches["GET: List offers"] == matches["GET: List candidate tags"] == "known"
    assert matches["List jobs"] == matches["Create webhooks"] == "scope"
    assert matches["POST: Add New Candidate Tag"] == "not_checkable"
    assert found["manifest"]["digest"] == load("lumen.yaml").digest


def test_a_file_is_replaced_only_when_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What somebody has filled in by hand is not lost to a second run."""
    (folder / "lumen.yaml").write_text("ours\n")
    assert cli.run(["manifest", "new", "lumen", "GET: List offers"]) == 2
    assert "lumen.yaml exists already and is left as it is" in capsys.readouterr().err
    assert (folder / "lumen.yaml").read_text() == "ours\n"
    assert cli.run(["manifest", "new", "lumen", "GET: List offers", "--overwrite"]) == 0
    assert [one.label for one in load("lumen.yaml").permissions] == ["GET: List offers"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["lumen"], "nothing to write: name labels"),
        (["Lumen", "GET: List offers"], "'Lumen' cannot be a manifest's name"),
        (["gem", "GET: List offers"], "gem is built in"),
        (["lumen", "--group", "Offerings"], "Greenhouse has no group 'Offerings': choose from Activity Feed,"),
        (["lumen", "--scope-group", "Offerings"], "Harvest v3 has no scopes under 'Offerings'"),
        (["lumen", "--from", "absent.txt"], "absent.txt: cannot be read (No such file or directory)"),
        (["lumen", "--from", "guide.docx"], "guide.docx: is no plain text in UTF-8"),
        (["lumen", "--from", "prose.txt"], "none of the 1 lines is a permission"),
        (["lumen", "GET: List offers", "--output", "absent/lumen.yaml"], "absent/lumen.yaml: cannot be written"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_done_is_refused_with_the_next_step(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    """Nothing is written."""
    (folder / "guide.docx").write_bytes(b"PK\x03\x04\xff")
    (folder / "prose.txt").write_text("Tick the boxes that we need.\n")
    assert cli.run(["manifest", "new", *arguments]) == 2
    assert told in capsys.readouterr().err
    assert not list(folder.rglob("*.yaml"))


def test_the_line_for_offers_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    """By a word, with what to write into the manifest, how it is checked and its scope."""
    assert cli.run(["manifest", "endpoints", "offers"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "GROUP\tLABEL\tENDPOINT\tCLASS\tSERVICE\tCHECKED BY\tV3 SCOPES"
    assert "Offers\tGET: List offers\tGET /v1/offers\tlist\trest\tread\tharvest:offers:list" in lines
    never = "nothing: PATCH /v1/applications/{id}/offers/current_offer could change something"
    assert f"Offers\tPATCH: Update Current Offer\tnone\t\t\t{never}\tharvest:offers:update" in lines


def test_endpoints_are_filtered_by_group_and_by_what_can_be_checked(capsys: pytest.CaptureFixture[str]) -> None:
    """As a document, too, in which a write has the least setting that sends it."""
    assert cli.run(["manifest", "endpoints", "--group", "candidates", "--checkable", "--json"]) == 0
    found = {one["label"]: one for one in json.loads(capsys.readouterr().out)["endpoints"]}
    assert {one["group"] for one in found.values()} == {"Candidates"}
    assert found["POST: Add Note"]["write_probes"] == "safe"
    assert found["PUT: Merge two candidates"]["write_probes"] == "all"
    assert found["GET: List Candidates"]["write_probes"] is None
    assert "DELETE: Delete Candidate" not in found
    assert cli.run(["manifest", "endpoints", "--group", "Offerings"]) == 2
    assert cli.run(["manifest", "endpoints", "no", "such", "word"]) == 0
    assert "nothing has the words 'no such word'" in capsys.readouterr().err


def test_an_endpoint_on_a_terminal_can_be_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is never cut off, whatever else is beside it, and nothing runs over the edge."""
    lines = on_terminal(monkeypatch, 80, lambda: cli.run(["manifest", "endpoints", "offer"]))
    assert "      endpoint: GET /v1/applications/{application_id}/offers/current_offer" in lines
    assert "      checked by read (list, rest)" in lines
    assert too_wide(lines, 80) == []
