from __future__ import annotations

from pathlib import Path

import pytest
from parsing_tools import make_hostile


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the generated hostile files; a test that asks for it needs test data."""
    return make_hostile(tmp_path_factory.mktemp("hostile"))
