"""Feedback, promoted policies, expenses and vectors in a lake in a container."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.budget import Meter
from pipelines.config import load_config
from pipelines.embedding.cache import VectorCache, text_key
from pipelines.feedback import Feedback, add_feedback, feedback_evidence
from pipelines.ingest import stage as ingest
from pipelines.options import RunOptions
from pipelines.policies import Overtaken, PolicyStore
from pipelines.transform import stage as transform
from pipelines.usage import Usage

pytestmark = pytest.mark.azurite


def test_all_that_learns_lives_in_a_container_too(azurite: Any, tmp_path: Path) -> None:
    lake = f"az://{azurite.container().container_name}/lake"
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("# Leave\n\nTwenty days of leave.\n")
    path = tmp_path / "gristmill.yaml"
    path.write_text(
        f"name: small\nlake: {lake}\nsources: [{{uri: docs, acl: {{default: public}}}}]\n"
        "strategies: [{name: default, policy: {alias: promoted}}]\n"
        "budget: {month: {tokens: 1000}}\n"
    )
    options = RunOptions(workers=1)
    ingest.run(load_config(path), options)
    transform.run(load_config(path), options)
    config = load_config(path)
    piece = Feedback("leave", "correction", document="a.md", quote="Twenty days")
    assert add_feedback(config, [piece, piece]).duplicates == 1
    assert feedback_evidence(config).evidence.questions[0].text == "leave"
    PolicyStore(lake, "default").promote(
        {"default": {"chunker": "sentence"}}, {"after": 1.0}, replaces=0
    )
    assert load_config(path).strategy("default").policy.default.chunker == "sentence"
    with pytest.raises(Overtaken):
        PolicyStore(lake, "default").promote({"default": {"chunker": "fixed"}}, {}, replaces=0)
    PolicyStore(lake, "default").move(0, "rollback", replaces=1)
    assert PolicyStore(lake, "default").current == 0
    meter = Meter.of(config, options)
    with pytest.raises(Exception, match=r"budget\.month\.tokens is 1,000 tokens, [1-9]"):
        meter.allow("load", Usage(tokens=1000))
    cache = VectorCache.of(lake)
    cache.put("m", [text_key("a")], np.ones((1, 3), np.float32))
    assert cache.get("m", [text_key("a"), text_key("b")])[text_key("a")].tolist() == [1, 1, 1]
    cache.forget([text_key("a")])
    assert cache.known("m", [text_key("a")]) == set()
