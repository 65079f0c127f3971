from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from pipelines.options import RunOptions
from pipelines.queries.estimate import Unit, estimate

WORDS = ["tide", "harbour", "gauge", "station", "report", "water", "level", "winter", "audit", "of"]


def text(random_: random.Random, sentences: int) -> str:
    return " ".join(
        " ".join(random_.choice(WORDS) for _ in range(random_.randint(4, 20))).capitalize() + "."
        for _ in range(sentences)
    )


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in folder.rglob("*")
    }


def forecast(project: Any, **options: Any) -> dict[str, Any]:
    from pipelines.queries.forecast import forecast

    config = project.config
    before = tree(project.root)
    value = forecast(config, RunOptions(workers=1), **options)
    assert tree(project.root) == before
    return value


@pytest.mark.parametrize("seed", range(8))
def test_a_sample_tells_the_totals(seed: int) -> None:
    random_ = random.Random(seed)
    units, amounts = [], {}
    for n in range(6000):
        stratum = random_.choice("abc")
        size = random_.lognormvariate(8, 1.2)
        rate = {"a": 0.25, "b": 0.5, "c": 0.1}[stratum] * random_.uniform(0.6, 1.4)
        units.append(Unit(str(n), stratum, size, {"owner": random_.choice("xy")}))
        amounts[str(n)] = {"tokens": size * rate}
    measured: list[str] = []

    def measure(wanted: Sequence[Unit]) -> dict[str, Mapping[str, float]]:
        measured.extend(unit.key for unit in wanted)
        return {unit.key: amounts[unit.key] for unit in wanted}

    result = estimate(units, measure, precision=0.02, judged=lambda name: True)
    truth = sum(each["tokens"] for each in amounts.values())
    total = result.totals()["tokens"]
    assert abs(total / truth - 1) < 0.02
    assert len(measured) == len(set(measured)) < 4000
    parts = [
        result.totals(lambda unit, owner=owner: unit.labels["owner"] == owner)["tokens"]
        for owner in "xy"
    ]
    assert math.isclose(sum(parts), total)


def test_what_cannot_be_sampled_is_read_whole() -> None:
    units = [Unit(str(n), "a", 1.0) for n in range(200)]
    values = {str(n): {"tokens": 1e6 if n % 3 == 0 else 0.0} for n in range(200)}
    result = estimate(
        units,
        lambda wanted: {unit.key: values[unit.key] for unit in wanted},
        precision=0.02,
        judged=lambda name: True,
    )
    assert len(result.sampled) == 200
    assert result.totals()["tokens"] == 67e6
    assert result.half_widths(["tokens"]) == {"tokens": 0.0}


def test_a_dry_run_says_what_the_run_then_does(project: Any) -> None:
    random_ = random.Random(3)
    for n in range(260):
        ending = ("md", "txt")[n % 2]
        head = f"# Report {n}\n\n" if ending == "md" else ""
        project.write(f"{n:03d}.{ending}", head + text(random_, random_.randint(3, 60)))
    project.write("broken.bin", b"\x00\x01\x02\x03" * 50)
    project.settings = {
        "budget": {"prices": {"embedding": 20}, "currency": "EUR", "run": {"tokens": 1000}}
    }
    value = forecast(project)
    assert not (project.root / "state").exists()
    assert value["sampled"] < value["population"] == 261
    assert "budget.run.tokens" in value["over_budget"]
    project.settings = {"budget": {"prices": {"embedding": 20}, "currency": "EUR"}}
    ingested, transformed = project.ingest().as_dict(), project.transform().as_dict()
    assert value["ingest"]["new"] == ingested["new"] + ingested["rejected"]
    assert value["ingest"]["rejected_when_read"] == ingested["rejected"] == 1
    assert (value["strategies"]["default"]["rejected"], value["not_forecast"]) == (0, [])
    told = value["strategies"]["default"]
    for name in ("documents", "chunks", "tokens"):
        assert told[name] == pytest.approx(transformed[name], rel=0.02), name
    spent = transformed["usage"]["total"]["money"]
    assert value["usage"]["total"]["money"] == pytest.approx(spent, rel=0.02)


def test_a_dry_run_knows_what_is_done_already_and_what_a_changed_policy_takes(
    project: Any,
) -> None:
    for n in range(6):
        project.write(f"{n}.txt", text(random.Random(n), 30))
    project.ingest()
    project.transform()
    value = forecast(project)
    assert value["ingest"]["unchanged"] == 6
    assert value["population"] == 0
    assert value["strategies"]["default"]["tokens"] == 0
    project.write("5.txt", text(random.Random(9), 40))
    assert forecast(project)["population"] == 1
    project.settings = {
        "strategies": [{"name": "default", "max_tokens": 64, "policy": {"default": "fixed"}}]
    }
    value = forecast(project)
    assert value["population"] == 6
    project.ingest()
    done = project.transform().as_dict()
    assert value["strategies"]["default"]["chunks"] == done["chunks"]
    assert value["strategies"]["default"]["tokens"] == done["tokens"]


def test_the_verb(project: Any) -> None:
    project.write("a.txt", text(random.Random(1), 30))
    code, value, errors = project.call(
        "run", str(project.config_path), "--dry-run", "--json", "-w", "1"
    )
    assert (code, errors) == (0, "")
    assert value["dry_run"]
    assert value["strategies"]["default"]["documents"] == 1
    assert not (project.root / "state").exists()
