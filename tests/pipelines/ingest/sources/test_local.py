"""A local folder: whatever lies in it is listed, read as it was listed, or rejected by name."""

from __future__ import annotations

import os
import pickle
import socket
import stat
import threading
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from source_tools import listing, problems, unprivileged

from lineage.errors import ConfigError
from pipelines.ingest.sources import FetchError, SourceUnavailable
from pipelines.ingest.sources.base import MAX_DOCUMENT_BYTES
from pipelines.ingest.sources.globs import Globs
from pipelines.ingest.sources.local import LocalSource

NFC = unicodedata.normalize("NFC", "Café über.md")
NFD = unicodedata.normalize("NFD", "Café über.md")


def source(root: Path | str, *, include: Any = ("**/*",), exclude: Any = (), **more: Any) -> Any:
    return LocalSource("docs", str(root), Globs(tuple(include), tuple(exclude)), **more)


def refusal(root: Path, key: str, version: str) -> str:
    with pytest.raises(FetchError) as caught:
        source(root).fetch(key, version)
    return caught.value.error_class


@pytest.mark.parametrize(
    "name",
    [
        "plain.md",
        "with space.md",
        " lead and trail ",
        "two\nlines\r.md",
        "tab\tquote'\".md",
        "100%.md",
        "a%20b.md",
        "hash#query?.md",
        "back\\slash.md",
        "semi;colon:star*.md",
        "~tilde",
        "-dash",
        "...",
        "..hidden-like".replace("..", "x.."),
        "日本語.md",
        "🧪.md",
        "a\u2028b.md",
        NFC,
        NFD,
        os.fsdecode(b"latin-\xe9.md"),
        "x" * 255,
    ],
)
def test_every_name_is_listed_and_read(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "a b" / "ünï"
    folder.mkdir(parents=True)
    (folder / name).write_bytes(b"text")
    hidden = name.startswith(".")
    include = ("**/.*",) if hidden else ("**/*",)
    (listed,) = source(tmp_path, include=include).list()
    assert listed.key.startswith("a b/ünï/")
    assert len(listed.key.splitlines()) == 1
    assert unicodedata.is_normalized("NFC", listed.key)
    assert listed.uri.isascii()
    assert listed.uri.startswith(f"{tmp_path.as_uri()}/a%20b/")
    fetched = source(tmp_path).fetch(listed.key, listed.version)
    assert (fetched.data, fetched.version) == (b"text", listed.version)


def test_twins_that_differ_in_composition_only_are_two_documents(tmp_path: Path) -> None:
    (tmp_path / NFC).write_bytes(b"composed")
    (tmp_path / NFD).write_bytes(b"decomposed")
    if len(os.listdir(tmp_path)) == 1:
        return  # this file system knows no such twins
    texts = {k: source(tmp_path).fetch(k, one.version).data for k, one in listing(tmp_path).items()}
    assert sorted(texts.values()) == [b"composed", b"decomposed"]
    assert texts[NFC] == b"composed"


_NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="/\0")
    | st.sampled_from(list("%.Ae\u0301\u0327 #\n")),
    min_size=1, max_size=8,
).filter(lambda name: name not in (".", "..") and len(name.encode()) < 200)  # fmt: skip


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(names=st.lists(_NAMES, unique=True, max_size=6), folders=st.lists(_NAMES, max_size=2))
def test_no_document_is_lost_or_mixed_up(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], folders: list[str]
) -> None:
    root = tmp_path_factory.mktemp("names")
    place = root.joinpath(*folders)
    place.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        (place / name).write_bytes(b"%d" % number)
    opened = source(root, include=("**/*", "**/.*", "**/.*/**", "**/.*/**/.*"))
    found = list(opened.list())
    texts = [int(opened.fetch(one.key, one.version).data) for one in found]
    assert sorted(texts) == list(range(len(names)))
    assert len({one.key for one in found}) == len(names)


def test_listing_is_in_the_order_of_keys_and_repeatable(tmp_path: Path) -> None:
    for name in ("b/1", "a/2", "a.x", "a-", "B", "a/10", "ä/1", "c"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    found = [one.key for one in source(tmp_path).list()]
    assert found == sorted(found)
    assert found == [one.key for one in source(tmp_path).list()]


def test_a_source_is_a_value_that_touches_nothing(tmp_path: Path) -> None:
    nowhere = source(tmp_path / "nowhere")
    assert pickle.loads(pickle.dumps(nowhere)) == nowhere
    with pytest.raises(ConfigError, match="does not exist; create it, or correct the path"):
        list(nowhere.list())


def test_what_a_document_says_of_itself(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_bytes(b"12345")
    os.utime(tmp_path / "a.md", ns=(0, 1_700_000_000_123_456_789))
    (listed,) = source(tmp_path, labels={"owner": "hr"}).list()
    assert (listed.size, dict(listed.labels)) == (5, {"owner": "hr"})
    assert listed.modified_at is not None
    assert listed.modified_at.isoformat() == "2023-11-14T22:13:20.123456+00:00"


@pytest.mark.parametrize("seconds", [-(2**62) // 10**9, 2**62 // 10**9, -1])
def test_odd_times_are_no_obstacle(tmp_path: Path, seconds: int) -> None:
    (tmp_path / "a").touch()
    try:
        os.utime(tmp_path / "a", (seconds, seconds))
    except OSError:
        return  # this file system knows no such time
    assert len(listing(tmp_path)) == 1


# Links


def test_links_are_not_followed(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    for folder in (root / "sub", outside):
        folder.mkdir(parents=True)
        (folder / "a.md").write_text("text")
    (outside / "secret.md").write_text("secret")
    (root / "out.md").symlink_to(outside / "secret.md")
    (root / "out").symlink_to(outside)
    (root / "up.md").symlink_to("../outside/secret.md")
    (root / "in.md").symlink_to("sub/a.md")
    (root / "in").symlink_to("sub")
    (root / "loop").symlink_to("loop")
    (root / "sub/round").symlink_to("..")
    (root / "gone.md").symlink_to("nothing")
    assert problems(root) == {
        "out": "unsupported",
        "out.md": "unsupported",
        "up.md": "unsupported",
        "loop": "unsupported",
        "gone.md": "unsupported",
        "sub/a.md": None,
    }
    reasons = [one.problem[1] for one in listing(root).values() if one.problem]
    assert all("symbolic link" in reason for reason in reasons)


def test_a_link_to_something_that_is_not_taken_itself_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a.bin").write_text("x")
    (tmp_path / ".store").mkdir()
    (tmp_path / ".store/b.md").write_text("x")
    (tmp_path / "a.md").symlink_to("data/a.bin")
    (tmp_path / "b.md").symlink_to(".store/b.md")
    (tmp_path / "c.md").symlink_to("data/a.bin")
    found = listing(tmp_path, include=["*.md"], exclude=["c.md"])
    assert {k: one.problem[0] for k, one in found.items()} == dict.fromkeys(
        ("a.md", "b.md"), "unsupported"
    )
    assert "include that one" in found["a.md"].problem[1]


def test_the_root_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/a.md").write_text("x")
    (tmp_path / "link").symlink_to("real")
    (listed,) = source(tmp_path / "link").list()
    assert listed.uri == (tmp_path / "real/a.md").as_uri()
    assert source(tmp_path / "link").fetch("a.md", listed.version).data == b"x"


def test_a_link_put_in_a_files_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (root / "sub/a.md").write_text("public")
    version = listing(root)["sub/a.md"].version
    (root / "sub/a.md").unlink()
    (root / "sub/a.md").symlink_to(tmp_path / "secret")
    assert refusal(root, "sub/a.md", version) == "changed_during_read"
    (root / "sub").rename(tmp_path / "elsewhere")
    (root / "sub").symlink_to(tmp_path / "elsewhere")
    assert refusal(root, "sub/a.md", version) in ("not_found", "changed_during_read")


@pytest.mark.parametrize(
    "key", ["../secret", "a/../../secret", "..", ".", "", "/etc/hostname", "a//b", "%2E%2E/secret",
            "a%2F..%2F..%2Fsecret", "..%00", "a%00b"],
)  # fmt: skip
def test_no_key_leads_out_of_the_root(tmp_path: Path, key: str) -> None:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "root/a").mkdir(parents=True)
    version = "0:0:0:0"
    assert refusal(tmp_path / "root", key, version) in ("not_found", "unsupported")


# What is no file


def test_what_is_no_regular_file_is_rejected_and_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    server = socket.socket(socket.AF_UNIX)
    here = os.getcwd()
    try:
        os.chdir(tmp_path)  # the path of a socket must be short
        server.bind("socket")
    finally:
        os.chdir(here)
    (tmp_path / "a.md").write_text("x")
    found = listing(tmp_path)
    assert problems(tmp_path) == {"a.md": None, "fifo": "unsupported", "socket": "unsupported"}
    assert "a FIFO; only regular files are read" in found["fifo"].problem[1]
    for key in ("fifo", "socket"):
        assert refusal(tmp_path, key, found[key].version) in ("unsupported", "transient_io")
    server.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices")
def test_devices_are_rejected(tmp_path: Path) -> None:
    try:
        os.mknod(tmp_path / "zero", stat.S_IFCHR | 0o666, os.makedev(1, 5))
    except PermissionError:
        return  # not even root may, in here
    assert problems(tmp_path) == {"zero": "unsupported"}
    assert refusal(tmp_path, "zero", listing(tmp_path)["zero"].version) in (
        "unsupported",
        "transient_io",
    )


def test_a_fifo_put_in_a_files_place_does_not_hang(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("x")
    version = listing(tmp_path)["a.md"].version
    (tmp_path / "a.md").unlink()
    os.mkfifo(tmp_path / "a.md")
    assert refusal(tmp_path, "a.md", version) == "unsupported"


def test_empty_and_oversized_files(tmp_path: Path) -> None:
    (tmp_path / "empty.md").touch()
    with (tmp_path / "huge.txt").open("wb") as file:
        file.truncate(MAX_DOCUMENT_BYTES + 1)
    found = listing(tmp_path)
    assert found["empty.md"].problem is None
    assert source(tmp_path).fetch("empty.md", found["empty.md"].version).data == b""
    assert found["huge.txt"].problem[0] == "limit_size"
    assert refusal(tmp_path, "huge.txt", found["huge.txt"].version) == "limit_size"


def test_files_that_may_not_be_read_are_transient(shared_path: Path) -> None:
    (shared_path / "a.md").write_text("x")
    (shared_path / "a.md").chmod(0)
    with unprivileged():
        (listed,) = source(shared_path).list()
        assert refusal(shared_path, "a.md", listed.version) == "transient_io"


def test_folders_that_may_not_be_read_make_the_listing_incomplete(shared_path: Path) -> None:
    (shared_path / "shut").mkdir()
    (shared_path / "shut/a.md").write_text("x")
    (shared_path / "b.md").write_text("x")
    (shared_path / "shut").chmod(0)
    found = []
    with unprivileged(), pytest.raises(SourceUnavailable, match="shut: Permission denied"):
        found += source(shared_path).list()
    with unprivileged():
        assert [one.key for one in source(shared_path, exclude=["shut/**"]).list()] == ["b.md"]
    shared_path.chmod(0)
    with unprivileged(), pytest.raises((SourceUnavailable, ConfigError), match="Permission denied"):
        list(source(shared_path).list())


def test_a_root_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("x")
    with pytest.raises(ConfigError, match=r'is not a folder; .*`include: \["a\.md"\]`'):
        list(source(tmp_path / "a.md").list())


def test_folders_as_deep_as_they_come(tmp_path: Path) -> None:
    depth = 300
    path = tmp_path.joinpath(*["d"] * depth)
    path.mkdir(parents=True)
    (path / "a.md").write_text("deep")
    (listed,) = source(tmp_path).list()
    assert source(tmp_path).fetch(listed.key, listed.version).data == b"deep"


# What changes meanwhile


def test_a_file_that_vanishes(tmp_path: Path) -> None:
    for name in ("a.md", "b.md", "sub/c.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    found = listing(tmp_path)
    stream = source(tmp_path).list()
    assert next(stream).key == "a.md"
    (tmp_path / "b.md").unlink()
    (tmp_path / "sub/c.md").unlink()
    (tmp_path / "sub").rmdir()
    assert list(stream) == []
    assert refusal(tmp_path, "b.md", found["b.md"].version) == "not_found"
    assert refusal(tmp_path, "sub/c.md", found["sub/c.md"].version) == "not_found"


def test_a_file_that_changes_after_it_was_listed(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text("one")
    version = listing(tmp_path)["a.md"].version
    before = path.stat()
    path.write_text("two")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # size and time look the same
    assert refusal(tmp_path, "a.md", version) == "changed_during_read"


def test_a_file_that_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("one")
    version = listing(tmp_path)["a.md"].version
    (tmp_path / "new").write_text("two")
    (tmp_path / "new").replace(tmp_path / "a.md")
    assert refusal(tmp_path, "a.md", version) == "changed_during_read"


def test_a_file_that_is_written_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_bytes(b"x" * (8 << 20))
    stop = threading.Event()

    def write() -> None:
        with path.open("r+b") as file:
            while not stop.is_set():
                file.seek(0)
                file.write(os.urandom(4096))
                file.flush()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        seen = set()
        for _ in range(20):
            try:
                source(tmp_path).fetch("a.md", listing(tmp_path)["a.md"].version)
            except FetchError as error:
                seen.add(error.error_class)
        assert seen == {"changed_during_read"}
    finally:
        stop.set()
        writer.join()
