"""What each kind of change does, from a folder to the index, and what it does not."""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from lineage import Acl
from pipelines.cli.main import cli
from pipelines.ingest.plan import Action
from pipelines.ingest.rows import RowStamp, upsert_row
from pipelines.ingest.sources.base import Listed
from pipelines.ingest.work import ParseOutcome

PROSE = "# Leave\n\nEveryone has thirty days. They are agreed on with the team.\n\n" * 8


def counts(summary: Any) -> dict[str, int]:
    value = summary.as_dict()
    return {key: value[key] for key in value if isinstance(value[key], int) and value[key]}


def test_a_second_run_writes_nothing(project: Any) -> None:
    project.write("a.md", PROSE)
    project.write("b/c.txt", "Plain words, and some more of them.")
    first = counts(project.ingest())
    assert (first["listed"], first["new"], first["parsed"], first["rows_written"]) == (2, 2, 2, 2)
    made = project.transform()
    project.load()
    assert made.as_dict()["documents"] == 2
    before = project.state()
    again = counts(project.ingest())
    assert again == {"listed": 2, "unchanged": 2, "version": first["version"]}
    assert project.transform().as_dict()["rows_written"] == 0
    assert project.load().documents == 0
    assert project.state() == before


def test_only_what_changed_is_done_again(project: Any) -> None:
    project.write("a.md", PROSE)
    project.write("b.md", PROSE.replace("thirty", "twenty"))
    project.run()
    kept = {c["chunk_id"] for c in project.chunks() if "twenty" in c["text"]}
    project.write("a.md", PROSE + "\n# New\n\nA section at the end.\n")
    summary = counts(project.ingest())
    assert (summary["changed"], summary["unchanged"], summary["parsed"]) == (1, 1, 1)
    assert project.transform().as_dict()["documents"] == 1
    assert project.load().upserted == 1
    assert kept <= {c["chunk_id"] for c in project.chunks()}


def test_touching_a_file_writes_a_touch_and_chunks_nothing(project: Any) -> None:
    path = project.write("a.md", PROSE)
    project.run()
    before = project.chunks()
    os.utime(path, ns=(time.time_ns(), time.time_ns()))
    summary = counts(project.ingest())
    assert (summary["touched"], summary.get("parsed", 0)) == (1, 0)
    assert project.transform().as_dict()["rows_written"] == 0
    assert project.chunks() == before


def test_a_change_of_rights_alone_parses_and_chunks_nothing(project: Any) -> None:
    project.write("a.md", PROSE)
    project.run()
    before = [(c["chunk_id"], c["text"]) for c in project.chunks()]
    project.write("a.md.acl.yaml", "allow_groups: [hr]\n")
    summary = counts(project.ingest())
    assert (summary["acl"], summary["listed"], summary.get("parsed", 0)) == (1, 1, 0)
    made = project.transform().as_dict()
    assert (made["acl"], made["documents"], made["chunks"]) == (1, 0, 0)
    assert project.load().acl_updated == 1
    assert [(c["chunk_id"], c["text"]) for c in project.chunks()] == before
    assert {tuple(c["acl"]["allow_groups"]) for c in project.chunks()} == {("hr",)}


def test_a_deleted_file_disappears_everywhere_and_comes_back(project: Any) -> None:
    path = project.write("a.md", PROSE)
    project.write("b.md", "Stays.")
    project.run()
    before = project.state()
    path.unlink()
    assert counts(project.ingest())["deleted"] == 1
    project.transform()
    assert project.load().deleted == 1
    assert set(project.documents()) == {"b.md"}
    project.write("a.md", PROSE)
    assert counts(project.ingest())["new"] == 1
    project.transform()
    project.load()
    assert project.state() == before


def test_a_file_that_breaks_is_withdrawn_and_comes_back(project: Any) -> None:
    project.write("a.pdf", b"%PDF-1.4 not really")
    project.write("b.md", "Stays.")
    summary = project.ingest()
    assert (summary.rejected, counts(summary)["new"]) == (1, 1)
    project.transform()
    row = project.documents()["a.pdf"]
    assert (row["op"], row["text"]) == ("reject", None)
    assert row["error"]["error_class"]
    again = counts(project.ingest())
    assert (again["unchanged"], again.get("rejected", 0)) == (2, 0)
    samples = Path(__file__).parents[2] / "samples"
    project.write("a.pdf", (samples / "products" / "tg40-datasheet.pdf").read_bytes())
    assert counts(project.ingest())["changed"] == 1
    project.transform()
    assert any("TG40" in c["text"] for c in project.chunks())
    project.write("a.pdf", b"%PDF-1.4 broken again")
    assert project.ingest().rejected == 1
    project.transform()
    assert [c["text"] for c in project.chunks()] == ["Stays."]


def test_one_changed_rule_chunks_only_its_documents(project: Any) -> None:
    policy: dict[str, Any] = {
        "default": {"chunker": "recursive"},
        "rules": [{"name": "md", "when": {"path": "**/*.md"}, "use": {"chunker": "structure"}}],
    }
    project.settings["strategies"] = [{"name": "default", "max_tokens": 64, "policy": policy}]
    project.write("a.md", PROSE)
    project.write("b.txt", PROSE)
    project.run()
    assert {c["lineage"]["rule"] for c in project.chunks()} == {"md", "default"}
    policy["rules"][0]["use"] = {"chunker": "structure", "target_tokens": 20}
    made = project.transform().as_dict()
    assert made["documents"] == 1
    assert project.transform().as_dict()["rows_written"] == 0


def test_empty_listing_holds_the_deletions(project: Any) -> None:
    path = project.write("a.md", PROSE)
    project.run()
    path.unlink()
    summary = project.ingest()
    assert (summary.held, counts(summary).get("deleted", 0)) == (1, 0)
    assert "a.md" in project.documents()
    assert counts(project.ingest(allow_deletes=True))["deleted"] == 1


def test_an_empty_document_is_counted_and_has_no_chunks(project: Any) -> None:
    project.write("a.txt", "")
    project.write("b.txt", " \n\t\n")
    assert counts(project.ingest())["empty"] == 2
    project.transform()
    assert project.chunks() == []


def test_batches_commit_one_by_one(project: Any) -> None:
    for n in range(7):
        project.write(f"{n}.md", f"# Number {n}\n\nSome words.")
    project.ingest(batch=3)
    assert project.lake.documents.seq == 3
    project.transform(batch=3)
    table = project.lake.chunks("default")
    assert table.seq == 3
    assert len(project.chunks()) == 7
    assert project.transform(batch=3).as_dict()["rows_written"] == 0


def test_damage_that_a_parser_repairs_is_told(project: Any) -> None:
    whole = (Path(__file__).parents[2] / "samples/people/parental-leave-policy.pdf").read_bytes()
    project.write("whole.pdf", whole)
    project.write("cut.pdf", whole[: len(whole) // 2])
    summary = project.ingest()
    assert (summary.counts["new"], summary.counts["warned"]) == (2, 1)
    ((uri, warning),) = summary.as_dict()["warnings"].items()
    assert uri.endswith("cut.pdf")
    assert warning
    code, value, told = project.call("ingest", str(project.config_path), "--json")
    assert (code, value["stages"]["ingest"]["warned"], told.count("warnings")) == (0, 0, 0)

    project.write("cut.pdf", whole[: len(whole) // 2 + 100])
    code, value, told = project.call("ingest", str(project.config_path), "--json")
    assert (code, value["stages"]["ingest"]["warned"]) == (0, 1)
    assert "1 document was read, with warnings" in told
    assert "cut.pdf: " in told


def test_what_a_parser_warned_of_can_be_asked_later(project: Any) -> None:
    whole = (Path(__file__).parents[2] / "samples/people/parental-leave-policy.pdf").read_bytes()
    project.write("whole.pdf", whole)
    cut = project.write("cut.pdf", whole[: len(whole) // 2])
    config = str(project.config_path)
    project.run()
    rows = project.documents()
    (warning,) = rows["cut.pdf"]["warnings"]
    assert rows["whole.pdf"]["warnings"] is None

    def answer(*arguments: str) -> Any:
        result = CliRunner().invoke(cli, [arguments[0], config, *arguments[1:], "--json"])
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    (told,) = answer("rejects", "--warnings")["warned"]
    assert (told["source_uri"], told["warnings"]) == (cut.as_uri(), [warning])
    assert answer("status")["documents"]["warned"] == 1
    impact = answer("impact", str(cut))
    assert impact["from"]["warnings"] == impact["versions"][0]["warnings"] == [warning]
    chunk = next(c for c in project.chunks() if c["lineage"]["source_uri"] == cut.as_uri())
    assert answer("trace", chunk["chunk_id"])["warnings"] == [warning]
    for arguments in (["rejects", config, "--warnings"], ["trace", config, chunk["chunk_id"]],
                      ["impact", config, str(cut)]):  # fmt: skip
        assert warning in CliRunner().invoke(cli, arguments).output

    # It goes with the content that it was about, not with the row that brought it.
    project.settings["sources"] = [{"name": "docs", "uri": "docs", "acl": {"default": "unknown"}}]
    project.ingest()
    row = project.documents()["cut.pdf"]
    assert (row["op"], row["warnings"]) == ("acl", [warning])
    cut.write_bytes(whole)
    project.ingest()
    assert project.documents()["cut.pdf"]["warnings"] is None
    cut.write_bytes(b"%PDF-1.4 nothing more")
    project.ingest()
    row = project.documents()["cut.pdf"]
    assert (row["op"], row["warnings"]) == ("reject", None)
    assert answer("rejects", "--warnings") == {"warned": []}


def test_thousands_of_warnings_are_counted(project: Any) -> None:
    outcome = ParseOutcome(warnings=tuple(f"sheet {n} is gone" for n in range(3000)))
    listed = Listed("a", "file:///a", "1", None, None, Acl())
    row = upsert_row(
        Action("fetch", "s", "id", listed, None), outcome, "0", 1,
        RowStamp("p", 1, "run", datetime.now(UTC)),
    )  # fmt: skip
    assert len(row["warnings"]) == 20
    assert row["warnings"][-1] == "and 2981 more"
