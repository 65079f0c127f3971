from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

# The helpers of these tests are a module beside them.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with documents, a config, and a lake that `run` has made of them."""
    from cli_tools import CONFIG, LEAVE, run

    root = tmp_path_factory.mktemp("made")
    docs = root / "docs"
    (docs / "hr").mkdir(parents=True)
    (docs / "hr/_acl.yaml").write_text("allow_groups: [hr]\ndeny_users: [eve]\n")
    (docs / "hr/leave.md").write_text(LEAVE)
    (docs / "people.csv").write_text("name,town\nAnn,Ostwick\nBob,Larkmoor\n")
    (docs / "people.csv.acl.yaml").write_text("public\n")
    (docs / "notes.txt").write_text("Nobody has said who may read these notes.\n")
    (docs / "broken.bin").write_bytes(b"\x00\x01\x02\x03" * 50)
    (root / "gristmill.yaml").write_text(CONFIG)
    result = run("run", root / "gristmill.yaml", "--workers", "1", "--json")
    assert result.exit_code == 3, result.output
    return root


@pytest.fixture
def config(made: Path) -> Path:
    return made / "gristmill.yaml"


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    """A copy to damage; its sources stay where they are, and so do the document ids."""
    from cli_tools import CONFIG

    shutil.copytree(made / "lake", tmp_path / "lake")
    path = tmp_path / "gristmill.yaml"
    path.write_text(CONFIG.replace("uri: docs", f"uri: {made / 'docs'}"))
    return path
