"""The samples: complete, made by their script, and coming out of the pipeline as intended."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from lineage import Acl, Principal

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "samples"

REJECTED = {
    "inbox/annual-report-draft.docx": "malformed",
    "inbox/delivery-note-scan.pdf": "empty_suspect",
}
EMPTY = {"inbox/empty-form.txt"}
TYPES = {
    *(".c", ".go", ".java", ".py", ".rs", ".sh", ".sql", ".ts"),
    *(".csv", ".ods", ".tsv", ".xlsx"),
    *(".docx", ".epub", ".html", ".md", ".odt", ".org", ".pdf", ".pptx", ".rst", ".rtf", ".txt"),
    *(".eml", ".mbox", ".msg", ".srt", ".vtt"),
    *(".ipynb", ".json", ".jsonl", ".log", ".xml", ".yaml"),
}


def documents() -> list[str]:
    return sorted(
        str(path.relative_to(SAMPLES))
        for path in SAMPLES.rglob("*")
        if path.is_file() and not path.name.endswith("acl.yaml")
    )


def test_there_is_a_sample_of_every_type() -> None:
    assert {Path(name).suffix for name in documents()} == TYPES


def test_samples_are_small() -> None:
    assert sum((SAMPLES / name).stat().st_size for name in documents()) < 1_500_000


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("samples")
    subprocess.run([sys.executable, ROOT / "scripts/make_samples.py", "--out", out], check=True)
    return out


def content(data: bytes) -> object:
    """What a file says, free of what depends on the version of a compression library."""
    if data[:4] == b"PK\x03\x04" and zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return [(info.filename, archive.read(info)) for info in archive.infolist()]
    return data


def test_the_script_makes_the_files_that_are_committed(made: Path) -> None:
    names = sorted(str(p.relative_to(made)) for p in made.rglob("*") if p.is_file())
    assert len(names) == 16
    # These two end in compressed data: a picture, and half a package.
    compressed = {"inbox/delivery-note-scan.pdf", "inbox/annual-report-draft.docx"}
    different = [
        name
        for name in names
        if name not in compressed
        and content((made / name).read_bytes()) != content((SAMPLES / name).read_bytes())
    ]
    assert different == [], "run `make samples`, and commit what changed"


def test_the_scan_is_a_picture_without_text(made: Path) -> None:
    import pypdfium2

    for folder in (made, SAMPLES):
        page = pypdfium2.PdfDocument(folder / "inbox/delivery-note-scan.pdf")[0]
        assert page.get_textpage().get_text_range() == ""
        assert [item.type for item in page.get_objects()] == [pypdfium2.raw.FPDF_PAGEOBJ_IMAGE]


def test_every_acl_file_can_be_read_and_names_known_groups() -> None:
    groups = set()
    for path in SAMPLES.rglob("*acl.yaml"):
        acl = Acl.from_value(yaml.safe_load(path.read_text()))
        groups |= set(acl.allow_groups)
        if path.name != "_acl.yaml":
            assert path.with_name(path.name.removesuffix(".acl.yaml")).is_file()
    assert groups == {"engineering", "finance", "hr"}


# The whole pipeline, once.


def whole(test: Callable[..., None]) -> Callable[..., None]:
    """A test that needs the pipeline's output: in one worker, so that it runs only once."""
    for mark in (pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.xdist_group("samples")):
        test = mark(test)
    return test


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The quickstart's config in a copy of its own, run once."""
    folder = tmp_path_factory.mktemp("quickstart")
    shutil.copytree(ROOT / "configs", folder / "configs")
    shutil.copytree(SAMPLES, folder / "samples")
    result = gristmill("run", folder / "configs/quickstart.yaml", "--json")
    assert result.returncode == 3, result.stderr
    (folder / "first.json").write_text(result.stdout.splitlines()[-1])
    return folder


def gristmill(*arguments: object) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("gristmill")
    return subprocess.run(
        [program, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, timeout=600
    )


def rows(folder: Path) -> dict[str, dict[str, Any]]:
    """Relative name to the document's current row."""
    from pipelines import read_documents
    from pipelines.config import load_config

    table = read_documents(load_config(folder / "configs/quickstart.yaml").lake)
    prefix = (folder / "samples").as_uri() + "/"
    return {row["source_uri"].removeprefix(prefix): row for row in table.to_pylist()}


def hits(folder: Path, query: str, *who: str) -> list[str]:
    """Names of the documents that a search finds, best first."""
    from click.testing import CliRunner

    from pipelines.cli.main import cli

    config = str(folder / "configs/quickstart.yaml")
    result = CliRunner().invoke(cli, ["search", config, query, *who, "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout.splitlines()[-1])["hits"]
    return [hit["source_uri"].rpartition("/samples/")[2] for hit in found]


@whole
def test_every_sample_is_accounted_for(pipeline: Path) -> None:
    counts = json.loads((pipeline / "first.json").read_text())["stages"]["ingest"]
    assert counts["listed"] == len(documents())
    assert (counts["rejected"], counts["empty"]) == (len(REJECTED), len(EMPTY))
    found = rows(pipeline)
    assert sorted(found) == documents()
    errors = {
        name: row["error"]["error_class"] for name, row in found.items() if row["op"] == "reject"
    }
    assert errors == REJECTED


@whole
def test_access_is_what_the_files_say(pipeline: Path) -> None:
    acls = {name: Acl.from_dict(row["acl"]) for name, row in rows(pipeline).items()}
    assert {a.state for name, a in acls.items() if name.startswith("products/")} == {"public"}
    assert {a.state for name, a in acls.items() if name.startswith("inbox/")} == {"unknown"}
    groups = {
        "handbook/welcome.md": ("engineering", "finance", "hr"),
        "people/parental-leave-policy.pdf": ("hr",),
        "people/salary-bands-2026.xlsx": ("finance", "hr"),
        "engineering/src/watcher.go": ("engineering",),
        "mail/invoices-port-of-skerry.eml": ("finance",),
        "mail/re-rust-on-connector.eml": ("engineering", "finance", "hr"),
    }
    assert {name: acls[name].allow_groups for name in groups} == groups
    engineer = Principal(groups=frozenset({"engineering"}))
    agency = Principal("agency.morrow@larkmoor.example", frozenset({"engineering"}))
    report = acls["engineering/incident-2026-02-postmortem.md"]
    assert (report.permits(engineer), report.permits(agency)) == (True, False)


@whole
def test_data_types_and_rules_show_the_routing(pipeline: Path) -> None:
    types = {name: row["data_type"] for name, row in rows(pipeline).items()}
    assert {types[name] for name in types if name.startswith("engineering/src/")} == {"code"}
    assert types["handbook/welcome.md"] == "markdown"
    assert types["products/tg40-user-guide.html"] == "html"
    assert types["products/tg40-datasheet.pdf"] == "pdf"
    assert types["products/product-tour.pptx"] == "slides"
    assert types["finance/invoices-2026-q1.csv"] == "table"
    assert types["engineering/meetings/2026-02-13-incident-review.vtt"] == "transcript"
    assert types["engineering/logs/hub-2026-02-11.log"] == "log"
    assert {types["mail/re-rust-on-connector.eml"], types["people/support-moves.msg"]} == {"email"}


@whole
def test_search_is_trimmed_to_the_reader(pipeline: Path) -> None:
    policy = "people/parental-leave-policy.pdf"
    assert policy in hits(pipeline, "parental leave", "--group", "hr")
    assert policy not in hits(pipeline, "parental leave", "--group", "engineering")
    assert hits(pipeline, "parental leave") == []
    assert hits(pipeline, "drying capsule")[0].startswith("products/")
    report = "engineering/incident-2026-02-postmortem.md"
    question = "why did the alarm not ring, harbour master pump room"
    assert report in hits(pipeline, question, "--group", "engineering")
    agency = ("--group", "engineering", "--user", "agency.morrow@larkmoor.example")
    assert report not in hits(pipeline, question, *agency)


@whole
def test_attachments_and_odd_encodings_are_found(pipeline: Path) -> None:
    finance = ("--group", "finance")
    assert "mail/invoices-port-of-skerry.eml" in hits(pipeline, "Lighthouse Quay", *finance)
    assert "finance/customers-old-system.csv" in hits(pipeline, "Jürgen Weiß", *finance)
    staff = ("--group", "hr")
    assert "mail/workshop-list.mbox" in hits(pipeline, "inspector pressure rig", *staff)


@whole
def test_nothing_is_violated_and_a_second_run_has_nothing_to_do(pipeline: Path) -> None:
    config = pipeline / "configs/quickstart.yaml"
    verified = gristmill("verify", config, "--sources", "--json")
    assert verified.returncode == 0, verified.stderr
    assert json.loads(verified.stdout.splitlines()[-1])["violations"] == []
    again = gristmill("run", config, "--json")
    assert again.returncode == 0, again.stderr
    stages = json.loads(again.stdout.splitlines()[-1])["stages"]
    assert stages["ingest"]["unchanged"] == stages["ingest"]["listed"] == len(documents())
    assert stages["ingest"]["rows_written"] == stages["transform"]["rows_written"] == 0
