"""Fixtures that every test may use."""

from __future__ import annotations

import sys
from pathlib import Path

from hypothesis import settings

# Plugins below are modules of this folder, found there whatever way pytest imports tests.
sys.path.insert(0, str(Path(__file__).parent))

# How long an example takes on a busy machine says nothing.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

pytest_plugins = ["azurite", "chunkers.pytest_plugin", "pytester"]
