"""Tables of records: a row is a document, a bad row is one reject, and the rest goes on."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from record_tools import KINDS, found, texts, write
from source_tools import records

from lineage import Acl
from lineage.errors import ConfigError
from pipelines.ingest.sources import record_tables


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_documents_with_all_that_their_columns_say(tmp_path: Path, kind: str) -> None:
    rows = [
        {"nr": "T-1", "body": "Über\nzwei Zeilen, \"ja\"", "name": "One", "type": "text/markdown",
         "when": "2026-02-03T04:05:06+01:00", "readers": ["hr", "it"], "team": "blue"},
        {"nr": "T-2", "body": "", "name": "", "type": "", "when": "", "readers": [], "team": ""},
    ]  # fmt: skip
    columns = {
        "key": "nr", "text": "body", "title": "name", "media_type": "type", "modified_at": "when",
        "acl": {"allow_groups": "readers"}, "labels": {"owner": "team"},
    }  # fmt: skip
    path = write(tmp_path / f"my tickets.{kind}", rows)
    listed = found(path, own_labels={"source": "desk"}, **columns)
    one, two = listed["T-1"], listed["T-2"]
    assert one.uri == f"{path.as_uri()}#T-1"
    assert (one.title, one.media_type) == ("One", "text/markdown")
    assert one.modified_at == datetime(2026, 2, 3, 3, 5, 6, tzinfo=UTC)
    assert one.acl == Acl(state="explicit", allow_groups=("hr", "it"), origin="column")
    assert dict(one.labels) == {"source": "desk", "owner": "blue"}
    assert dict(two.labels) == {"source": "desk"}
    assert (two.acl.state, two.acl.allow_groups) == ("explicit", ())
    assert texts(path, **columns) == {"T-1": 'Über\nzwei Zeilen, "ja"', "T-2": ""}
    assert one.size == len('Über\nzwei Zeilen, "ja"'.encode())


_CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)


@settings(max_examples=40, deadline=None)
@given(rows=st.dictionaries(_CELLS.filter(bool), _CELLS, min_size=1, max_size=6))
@pytest.mark.parametrize("kind", KINDS)
def test_every_text_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, kind: str, rows: dict[str, str]
) -> None:
    path = tmp_path_factory.mktemp("rows") / f"t.{kind}"
    write(path, [{"id": key, "text": text} for key, text in rows.items()])
    assert sorted(texts(path).values()) == sorted(rows.values())


@pytest.mark.parametrize("kind", KINDS)
def test_a_bad_row_is_one_reject_and_the_rest_goes_on(tmp_path: Path, kind: str) -> None:
    rows: list[dict[str, Any]] = [
        {"id": "a", "text": "first"},
        {"id": None, "text": "no key"},
        {"id": "", "text": "empty key"},
        {"id": "a", "text": "the same key"},
        {"id": "b", "text": "last"},
    ]
    path = write(tmp_path / f"t.{kind}", rows)
    listed = list(records(path).list())
    assert [one.problem and one.problem[0] for one in listed] == [
        None, "malformed", "malformed", "malformed", None,
    ]  # fmt: skip
    reasons = [one.problem[1] for one in listed if one.problem]
    assert [reason.partition(": ")[0] for reason in reasons] == [
        f"t.{kind} row {n}" for n in (2, 3, 4)
    ]
    assert "the key 'a' is that of an earlier row" in reasons[2]
    assert len({one.key for one in listed}) == 5
    assert texts(path) == {"a": "first", "b": "last"}
    assert [one.version for one in records(path).list()] == [one.version for one in listed]


@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_null_texts_are_rejects(tmp_path: Path, kind: str) -> None:
    path = write(
        tmp_path / f"t.{kind}", [{"id": 1, "text": None}, {"id": 2, "text": "x"}, {"id": 3}]
    )
    assert {key: one.problem and one.problem[0] for key, one in found(path).items()} == {
        "1": "malformed", "2": None, "3": "malformed",
    }  # fmt: skip


def test_bad_lines_of_json(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(
        b'\xef\xbb\xbf{"id": 1, "text": "one"}\n\n   \n{"id": 2, "text": "cut\n'
        b'[1]\nnull\n{"id": 3, "text": "\xff"}\n{"id": {}, "text": "x"}\n{"id": 4, "text": [1]}\n'
        + b"["
        * 100_000
        + b'\n{"id": 5, "text": "\\ud800"}\r\n{"id": 6.5, "text": true}\n{"text": "no id"}\n'
        b'{"id": 7, "text": "no line end"}'
    )
    listed = list(records(path).list())
    problems = [one.problem[0] if one.problem else one.key for one in listed]
    assert problems == [
        "1", "malformed", "malformed", "malformed", "malformed", "malformed", "malformed",
        "limit_depth", "5", "6.5", "malformed", "7",
    ]  # fmt: skip
    assert texts(path) == {"1": "one", "5": "\ufffd", "6.5": "true", "7": "no line end"}


def test_bad_rows_of_csv(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(
        b"\xef\xbb\xbfid;text\r\n1;one\r\n\r\n2;two;too many\r\n3\r\n4;\xff\r\n"
        b'5;"never closed\r\n6;six\r\n7;"seven\r\nlines"\r\n8;a "quote" inside\r\n'
        b'9;"closed"too early\r\n10;ten'
    )
    listed = list(records(path).list())
    problems = [one.problem[0] if one.problem else one.key for one in listed]
    assert problems == [
        "1", "malformed", "malformed", "malformed", "malformed", "6", "7", "8", "malformed", "10",
    ]  # fmt: skip
    assert texts(path) == {
        "1": "one", "6": "six", "7": "seven\r\nlines", "8": 'a "quote" inside', "10": "ten",
    }  # fmt: skip


def test_quotes_that_never_close_are_read_twice_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "t.csv"
    lines = [f'{n},"x{"" if n % 2 else chr(34)}\n' for n in range(4_000)]
    path.write_text("id,text\n" + "".join(lines))
    read = 0
    real = record_tables._Records._text

    def text(self: Any) -> Iterator[str]:
        nonlocal read
        for line in real(self):
            read += 1
            yield line

    monkeypatch.setattr(record_tables._Records, "_text", text)
    listed = list(records(path).list())
    assert sum(one.problem is None for one in listed) >= 2_000
    assert len(lines) < read <= 2 * len(lines) + 2


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("t.csv", b"", "is empty"),
        ("t.csv", b'"id,text\n', "has no header"),
        ("t.csv", "id,text\n1,x\n".encode("utf-16"), "has no header in UTF-8"),
        ("t.csv", b"id,text,id\n1,x,2\n", "has the column 'id' twice"),
        ("t.csv", b"key,body\n1,x\n", "has no column 'id'; it has key, body"),
        ("t.tsv", b"id\tbody\n1\tx\n", "has no column 'text'; it has id, body"),
        ("t.parquet", b"", "cannot be read as Parquet"),
        ("t.parquet", b"PAR1 and nothing else PAR1", "cannot be read as Parquet"),
        ("t.parquet", b"id,text\n1,x\n", "cannot be read as Parquet"),
    ],
)
def test_a_table_that_is_none_is_a_wrong_configuration(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        list(records(tmp_path / name).list())
    assert said in str(caught.value)
    assert name in str(caught.value)


def test_a_parquet_file_without_the_columns(tmp_path: Path) -> None:
    path = write(tmp_path / "t.parquet", [{"key": 1, "body": "x"}])
    with pytest.raises(ConfigError, match=r"has no column 'id'; it has key, body\. Name the right"):
        list(records(path).list())


# Access


ACL = {"acl": {"allow_groups": "readers", "deny_users": "blocked"}}


@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_null_columns_say_nothing_and_broken_ones_permit_nobody(tmp_path: Path, kind: str) -> None:
    rows: list[dict[str, Any]] = [
        {"id": "null", "text": "x", "readers": None, "blocked": None},
        {"id": "list", "text": "x", "readers": ["hr"], "blocked": ["bob"]},
        {"id": "denies", "text": "x", "readers": None, "blocked": ["bob"]},
        {"id": "nobody", "text": "x", "readers": [], "blocked": None},
        {"id": "hole", "text": "x", "readers": ["hr", None], "blocked": None},
        {"id": "blank", "text": "x", "readers": [""], "blocked": None},
    ]
    listed = found(write(tmp_path / f"t.{kind}", rows), default=Acl.public("config"), **ACL)
    assert listed["null"].acl == Acl.public("config")
    assert listed["list"].acl.allow_groups == ("hr",)
    assert listed["list"].acl.deny_users == ("bob",)
    assert (listed["denies"].acl.state, listed["denies"].acl.deny_users) == ("public", ("bob",))
    assert (listed["nobody"].acl.state, listed["nobody"].acl.allow_groups) == ("explicit", ())
    assert {listed[key].acl.state for key in ("hole", "blank")} == {"unknown"}


def test_access_in_a_csv_file(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(
        'id,text,readers,blocked\n1,x,"hr, it",\n2,x,"[""hr""]",bob\n3,x,,\n4,x,[hr],\n'
    )
    listed = found(path, default=Acl.public("config"), **ACL)
    assert listed["1"].acl.allow_groups == ("hr", "it")
    assert (listed["2"].acl.allow_groups, listed["2"].acl.deny_users) == (("hr",), ("bob",))
    assert (listed["3"].acl.state, listed["3"].acl.allow_groups) == ("explicit", ())
    assert listed["4"].acl.state == "unknown"


@pytest.mark.parametrize("kind", KINDS)
def test_columns_that_are_not_there_do_not_open_anything(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path / f"t.{kind}", [{"id": 1, "text": "x", "raeders": ["hr"]}])
    (listed,) = found(path, default=Acl.public("config"), **ACL).values()
    assert listed.acl.state == "unknown"
    assert listed.acl.origin == "column: there is no column 'readers'"


def test_a_json_row_may_leave_out_the_lists_it_does_not_need(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path / "t.jsonl", [{"id": 1, "text": "x", "readers": ["hr"]}])
    with caplog.at_level(logging.WARNING):
        assert found(path, **ACL)["1"].acl.allow_groups == ("hr",)
    assert "no row has the column 'blocked', which `records.acl` names" in caplog.text


@pytest.mark.parametrize("kind", KINDS)
def test_rights_and_labels_move_no_version(tmp_path: Path, kind: str) -> None:
    def version(**row: Any) -> str:
        rows = [{"id": 0, "text": "z"} | dict.fromkeys(row, "")] if row.pop("first", 0) else []
        path = write(tmp_path / f"t.{kind}", [*rows, {"id": 1, "text": "x"} | row])
        columns = {"title": "name", "labels": {"owner": "team"}, "acl": {"allow_users": "who"}}
        return found(path, **columns)["1"].version

    plain = version(name="n", team="a", who="u")
    assert version(name="n", team="b", who="v") == plain
    assert version(name="n", team="a", who="u", first=1) == plain
    assert version(name="m", team="a", who="u") != plain
    assert version(name="n", team="a", who="u", text="y") != plain


def test_times_of_all_kinds(tmp_path: Path) -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 678901)
    for number, kind in enumerate(
        [pa.timestamp("ns"), pa.timestamp("ns", "Europe/Oslo"), pa.timestamp("s"), pa.date32(),
         pa.string()]
    ):  # fmt: skip
        values = pa.array([moment if kind != pa.string() else "2026-01-02"]).cast(kind, safe=False)
        if kind == pa.timestamp("ns"):
            values = pa.array([1767323045678901234], kind)
        table = pa.table({"id": [1], "text": ["x"], "at": values})
        path = tmp_path / f"{number}.parquet"
        pq.write_table(table, path)
        (listed,) = found(path, modified_at="at").values()
        assert listed.modified_at is not None
        assert listed.modified_at.date().isoformat() == "2026-01-02"
        assert listed.modified_at.tzinfo is UTC


def test_text_columns_of_all_kinds(tmp_path: Path) -> None:
    for number, column in enumerate(
        [
            pa.array(["x"], pa.large_string()),
            pa.array(["x"]).dictionary_encode(),
            pa.array([b"x"]),
            pa.array(["x"], pa.string_view()),
        ]
    ):
        path = tmp_path / f"{number}.parquet"
        pq.write_table(pa.table({"id": [1], "text": column}), path)
        assert texts(path) == {"1": "x"}


def test_what_pyarrow_writes_as_csv_is_read(tmp_path: Path) -> None:
    out = io.BytesIO()
    pa.csv.write_csv(pa.table({"id": [1, 2], "text": ['say "hi",\nthere', "x"]}), out)
    path = tmp_path / "t.csv"
    path.write_bytes(out.getvalue())
    assert texts(path) == {"1": 'say "hi",\nthere', "2": "x"}
