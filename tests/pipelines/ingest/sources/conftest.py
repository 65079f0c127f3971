from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# The helpers of these tests are a module beside them.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def shared_path() -> Iterator[Path]:
    """A folder that other users may reach, which `tmp_path` is not when root runs the tests."""
    folder = Path(tempfile.mkdtemp(prefix="gristmill-test-"))
    folder.chmod(0o755)
    yield folder
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir():
            path.chmod(0o755)
    shutil.rmtree(folder)


@pytest.fixture
def container(azurite: Any) -> Any:
    """An empty container."""
    return azurite.container()
