"""Chunkers of other packages: found by entry point, and held to the suite by the pytest plugin."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

MODULE = '''
from dataclasses import dataclass
from chunkers import BaseChunker
from chunkers.base import Part

@dataclass(frozen=True, kw_only=True)
class ClauseChunker(BaseChunker):
    """Cuts after semicolons."""
    name = "by_clause"
    version = "3"
    mark: str = ";"

    def parts(self, document, tokens, contexts):
        start = 0
        while start < len(document.text):
            end = document.text.find(self.mark, start) + 1 or len(document.text)
            yield Part(start, end)
            start = end

def broken(**parameters):
    raise RuntimeError("never called")
'''
ENTRY_POINTS = """\
[gristmill.chunkers]
by_clause = clauses:ClauseChunker
optimal = clauses:broken
gone = clauses_that_are_not_there:Chunker
"""
EXAMPLE = """
from chunkers.pytest_plugin import ChunkerConformance
from clauses import ClauseChunker

class TestClauses(ChunkerConformance):
    def make(self, max_tokens):
        return ClauseChunker(max_tokens=max_tokens)
"""
DAMAGED = (
    EXAMPLE.replace(
        "return ClauseChunker(max_tokens=max_tokens)",
        "return Lossy(max_tokens=max_tokens)",
    )
    + """
class Lossy(ClauseChunker):
    def spans(self, document, tokens):
        return super().spans(document, tokens)[1:]
"""
)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which a wheel with entry points was installed."""
    folder = tmp_path_factory.mktemp("third_party")
    wheel = folder / "clauses-1.0-py3-none-any.whl"
    files = {
        "clauses.py": MODULE,
        "clauses-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: clauses\nVersion: 1.0\n",
        "clauses-1.0.dist-info/WHEEL": (
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        ),
        "clauses-1.0.dist-info/entry_points.txt": ENTRY_POINTS,
    }
    record = "".join(f"{name},,\n" for name in files) + "clauses-1.0.dist-info/RECORD,,\n"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in {**files, "clauses-1.0.dist-info/RECORD": record}.items():
            archive.writestr(name, text)
    has_pip = importlib.util.find_spec("pip") is not None
    installer = [sys.executable, "-m", "pip"] if has_pip else ["uv", "pip"]
    target = folder / "site"
    subprocess.run(
        [*installer, "install", "--quiet", "--no-index", "--no-deps", "--target", target, wheel],
        check=True,
        capture_output=True,
    )
    return target


def python(code: str, site: Path) -> str:
    path = os.pathsep.join([str(site), *(entry for entry in sys.path if entry)])
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_installed_package_adds_its_chunker(installed: Path) -> None:
    code = """
import json
from chunkers import build, chunk, names
from chunkers.policy import Policy
from lineage import ConfigError
text = "one; two; three; four"
pieces = chunk(text, "by_clause", max_tokens=50)
policy = Policy.from_value({"default": {"chunker": "by_clause", "mark": ","}})
policy.check(64)
problems = []
for name, parameters in (("gone", {}), ("by_clause", {"marks": "x"}), ("by_claus", {})):
    try:
        build(name, parameters, max_tokens=64)
    except ConfigError as error:
        problems.append(str(error))
print(json.dumps([names(), [p.text for p in pieces], build("optimal", {}, max_tokens=9).name,
                  policy.default.chunker, problems]))
"""
    known, pieces, ours, routed, problems = json.loads(python(code, installed))
    assert {"by_clause", "gone", "optimal"} <= set(known)
    assert pieces == ["one;", "two;", "three;", "four"]
    assert ours == "optimal", "an entry point does not replace one of ours"
    assert routed == "by_clause"
    assert "cannot be imported: ModuleNotFoundError" in problems[0]
    assert "did you mean 'mark'" in problems[1]
    assert "did you mean 'by_clause'" in problems[2]


def suite(pytester: pytest.Pytester, site: Path, test: str, *options: str) -> pytest.RunResult:
    """The six lines of the documentation, run as somebody else's tests."""
    pytester.makeconftest('pytest_plugins = ["chunkers.pytest_plugin"]')
    pytester.makepyfile(test_clauses=test)
    path = os.pathsep.join([str(site), *(entry for entry in sys.path if entry)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", path)
        return pytester.runpytest_subprocess("-p", "no:xdist", "-p", "no:cacheprovider", *options)


def test_the_plugin_passes_a_sound_chunker(pytester: pytest.Pytester, installed: Path) -> None:
    result = suite(pytester, installed, EXAMPLE)
    outcomes = result.parseoutcomes()
    assert outcomes.get("failed", 0) == 0, result.stdout.str()
    assert outcomes["passed"] > 35


def test_the_plugin_fails_one_that_loses_text(pytester: pytest.Pytester, installed: Path) -> None:
    result = suite(pytester, installed, DAMAGED)
    assert result.parseoutcomes()["failed"] > 20
    result.stdout.fnmatch_lines(["*is in no span of level*"])


def test_the_plugin_needs_no_hypothesis(pytester: pytest.Pytester, installed: Path) -> None:
    blocked = (
        EXAMPLE
        + """
import sys
sys.modules["hypothesis"] = None
"""
    )
    result = suite(pytester, installed, blocked, "-p", "no:hypothesispytest")
    outcomes = result.parseoutcomes()
    assert outcomes.get("skipped") == 1, result.stdout.str()
    assert outcomes.get("failed", 0) == 0
