"""Fixtures that every test may use."""

from __future__ import annotations

import sys
from pathlib import Path

# Plugins below are modules of this folder, found there whatever way pytest imports tests.
sys.path.insert(0, str(Path(__file__).parent))

pytest_plugins = ["azurite", "chunkers.pytest_plugin", "pytester"]
