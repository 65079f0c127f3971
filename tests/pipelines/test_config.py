from __future__ import annotations

import dataclasses
import json
import pickle
from pathlib import Path

import pytest

from lineage import Acl, ConfigError
from pipelines.config import BatchConfig, Config, GuardConfig, RecordsConfig, load_config
from pipelines.config.reader import RESERVED
from pipelines.options import RunOptions, new_run_id

ROOT = Path(__file__).parents[2]

SMALLEST = """\
name: handbook
lake: .gristmill/lake
sources:
  - uri: samples
"""

COMPLETE = """\
name: handbook
lake: .gristmill/lake
sources:
  - name: samples
    uri: samples
    include: ["**/*"]
    acl: {default: unknown}
    labels: {owner: hr}
strategies:
  - name: default
    encoding: o200k_base
    max_tokens: 512
    policy: policies/default.yaml
sinks:
  - {name: index, kind: lancedb, uri: .gristmill/index, strategy: default}
mlflow: {tracking_uri: "sqlite:///.gristmill/mlflow.db", experiment: handbook}
"""

POLICY = """\
default: {chunker: structure, target_tokens: 400}
rules: [{name: code, when: {data_type: code}, use: {chunker: code, target_tokens: 512}}]
"""


def load(folder: Path, text: str, **environ: str) -> Config:
    path = folder / "gristmill.yaml"
    path.write_text(text, encoding="utf-8")
    return load_config(path, environ)


def refuse(folder: Path, text: str, **environ: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(folder, text, **environ)
    message = str(caught.value)
    assert message.startswith(str(folder / "gristmill.yaml"))
    return message


def test_the_smallest_config_has_sensible_defaults(tmp_path: Path) -> None:
    config = load(tmp_path, SMALLEST)
    assert config.lake == str(tmp_path / ".gristmill/lake")
    (source,) = config.sources
    assert (source.name, source.uri) == ("samples", str(tmp_path / "samples"))
    assert (source.include, source.exclude, source.acl) == (("**/*",), (), None)
    (strategy,) = config.strategies
    assert (strategy.name, strategy.encoding, strategy.max_tokens) == ("default", "o200k_base", 512)
    assert config.sinks == ()
    assert config.mlflow is None
    assert (config.guard, config.batch) == (GuardConfig(0.5, 5), BatchConfig(5000))
    assert pickle.loads(pickle.dumps(config)) == config


def test_the_complete_example_of_the_documentation(tmp_path: Path) -> None:
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies/default.yaml").write_text(POLICY)
    config = load(tmp_path, COMPLETE)
    assert config.sources[0].acl == Acl.unknown("config")
    assert config.sources[0].labels == {"owner": "hr"}
    assert config.strategy("default").policy.default.parameters == {"target_tokens": 400}
    assert config.sink().uri == str(tmp_path / ".gristmill/index")
    assert config.mlflow is not None
    assert config.mlflow.tracking_uri == f"sqlite:///{tmp_path}/.gristmill/mlflow.db"
    # What is logged holds the policy itself, so that a run can be rebuilt from it.
    assert config.raw["strategies"][0]["policy"]["rules"][0]["name"] == "code"
    json.dumps(config.raw)


def test_everything_else_that_can_be_set(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        """\
name: all
lake: az://lake/path
sources:
  - uri: file:///data/a%20b
    acl: {default: {allow_groups: [hr], deny_users: [eve]}}
    parser: {html: unstructured}
  - {name: second, uri: "az://box/docs/", include: "*.md", exclude: [x/**], parser: unstructured}
  - name: rows
    uri: rows.jsonl
    labels: {year: 2026}
    records: {key: k, text: t, title: n, acl: {allow_groups: readers}, labels: [owner]}
strategies:
  - {name: small, max_tokens: 128, encoding: cl100k_base, policy: {default: sentence}}
  - {name: big}
sinks: [{kind: lancedb, uri: index, strategy: big, options: {x: 1}}]
guard: {max_delete_ratio: 0.1, min_documents: 1}
batch: {documents: 10}
""",
    )
    assert config.lake == "az://lake/path"
    first, second, rows = config.sources
    assert (first.name, first.uri) == ("a b", "/data/a b")
    assert first.acl == Acl(
        state="explicit", allow_groups=("hr",), deny_users=("eve",), origin="config"
    )
    assert first.parser == {"html": "unstructured"}
    assert (second.include, second.exclude) == (("*.md",), ("x/**",))
    assert second.parser == "unstructured"
    assert rows.labels == {"year": "2026"}
    assert rows.records == RecordsConfig(
        "k", "t", "n", acl={"allow_groups": "readers"}, labels={"owner": "owner"}
    )
    assert config.strategy("small").policy.default.chunker == "sentence"
    assert config.sink("lancedb").strategy == "big"
    assert (config.guard.max_delete_ratio, config.batch.documents) == (0.1, 10)


def test_shipped_configs_load(monkeypatch: pytest.MonkeyPatch) -> None:
    quickstart = load_config(ROOT / "configs/quickstart.yaml", {})
    assert quickstart.sources[0].uri == str(ROOT / "samples")
    assert quickstart.lake == str(ROOT / ".gristmill/lake")
    azure = load_config(ROOT / "configs/azure.yaml", {"PIPELINE_NAME": "other"})
    assert (azure.name, azure.lake) == ("other", "az://lake/handbook")


UNKNOWN_KEYS = [
    (SMALLEST.replace("name:", "nmae:"), "line 1: nmae: unknown key; did you mean `name`?"),
    (
        SMALLEST + "    inclde: ['*']\n",
        "line 5: sources[0].inclde: unknown key; did you mean `include`?",
    ),
    (SMALLEST + "guard: {max_delete: 1}\n", "guard.max_delete: unknown key; did you mean"),
    (SMALLEST + "strategies: [{max_token: 5}]\n", "strategies[0].max_token: unknown key"),
    (SMALLEST + "sinks:\n  - {kid: lancedb}\n", "line 6: sinks[0].kid: unknown key"),
    (SMALLEST + "mlflow: {uri: x}\n", "mlflow.uri: unknown key; did you mean `tracking_uri`?"),
    (SMALLEST + "zzz: 1\n", "line 5: zzz: unknown key. Known here: batch, budget,"),
]


@pytest.mark.parametrize(("text", "words"), UNKNOWN_KEYS)
def test_unknown_keys_name_line_path_and_nearest(tmp_path: Path, text: str, words: str) -> None:
    assert words in refuse(tmp_path, text)


WRONG_TYPES = [
    ("name: [a]\nlake: x\nsources: [{uri: a}]", "name: must be text, not a list ['a']"),
    ("name: yes\nlake: x\nsources: [{uri: a}]", "name: must be text, not true/false True"),
    ("name: yes\nlake: x\nsources: [{uri: a}]", "put quotes around text"),
    ("name: a/b\nlake: x\nsources: [{uri: a}]", "`name: handbook`"),
    ("name: a\nsources: [{uri: a}]", "lake: is missing; for example `lake: .gristmill/lake`"),
    ("name: a\nlake:\nsources: [{uri: a}]", "lake: has no value; for example"),
    ("name: a\nlake: ftp://x/y\nsources: [{uri: a}]", "lake: 'ftp://x/y': a lake is a local"),
    ("name: a\nlake: x\n", "sources: is missing; a pipeline reads from somewhere"),
    ("name: a\nlake: x\nsources: {uri: a}", "sources: must be a list, not a mapping"),
    ("name: a\nlake: x\nsources: [docs]", "sources[0]: must be a mapping, not text 'docs'"),
    ("name: a\nlake: x\nsources: [{name: s}]", "sources[0].uri: is missing; for example"),
    (SMALLEST + "    include: 5\n", "sources[0].include: must be a list of texts, not a whole"),
    (SMALLEST + "    include: [5]\n", "sources[0].include[0]: must be text"),
    (SMALLEST + "    labels: [a]\n", "sources[0].labels: must be a mapping, not a list"),
    (SMALLEST + "    labels: {a: no}\n", "sources[0].labels.a: must be text, not true/false"),
    (SMALLEST + "    acl: public\n", "sources[0].acl: stands under `default`"),
    (SMALLEST + "    acl: {allow_groups: [a]}\n", "sources[0].acl: stands under `default`"),
    (SMALLEST + "    acl: {default: secret}\n", "acl: {default: {allow_groups: [hr]}}"),
    (
        SMALLEST + "    acl: {default: {allow_group: [a]}}\n",
        "sources[0].acl.default: unknown ACL key 'allow_group'",
    ),
    (SMALLEST + "    acl: {default: {public: true}}\n", "the words public and unknown"),
    (SMALLEST + "    records: {acl: {allow: x}}\n", "records.acl.allow: unknown ACL list"),
    (SMALLEST + "strategies: [{max_tokens: many}]\n", "strategies[0].max_tokens: must be a whole"),
    (SMALLEST + "strategies: [{max_tokens: 5.5}]\n", "for example `max_tokens: 512`"),
    (SMALLEST + "strategies: [{max_tokens: 0}]\n", "must be a whole number from 8 to 1e+06, not 0"),
    (SMALLEST + "strategies: [{encoding: o200}]\n", "did you mean 'o200k_base'?"),
    (SMALLEST + "strategies: [{policy: 5}]\n", "example `policy: {default: {chunker: structure}}`"),
    (SMALLEST + "strategies: [{policy: no.yaml}]\n", "strategies[0].policy: there is no file"),
    (SMALLEST + "guard: {max_delete_ratio: 2}\n", "max_delete_ratio: must be a number from 0 to 1"),
    (SMALLEST + "batch: {documents: 0}\n", "a whole number of at least 1"),
    (SMALLEST + "sinks: [{kind: lancdb, uri: x}]\n", "did you mean 'lancedb'?"),
    (SMALLEST + "sinks: [{kind: pgvector, uri: x}]\n", "'pgvector' is not supported yet"),
    (SMALLEST + "sinks: [{kind: lancedb}]\n", "sinks[0].uri: is missing"),
    (
        SMALLEST + "sinks: [{kind: lancedb, uri: x, strategy: defualt}]\n",
        "sinks[0].strategy: unknown strategy 'defualt'; did you mean 'default'?",
    ),
    (SMALLEST + "mlflow: {tracking_uri: mlruns}\n", "mlflow.tracking_uri: 'mlruns' must be a URI"),
    (SMALLEST + "mlflow: {experiment: x}\n", "mlflow.tracking_uri: is missing"),
    (SMALLEST + "sinks: [{kind: lancedb, uri: x, embedder: true}]\n", "sinks[0].embedder: is true"),
    (
        SMALLEST + "strategies: [{policy: {default: {chunker: semantic, embedder: true}}}]\n",
        "strategies[0].policy.default.embedder: is true, and the configuration has no `embedder`",
    ),
    (
        SMALLEST + "strategies: [{policy: {default: {chunker: semantic, embedder: {kind: x}}}}]\n",
        "strategies[0].policy.default: chunker 'semantic': embedder: unknown kind of embedder 'x'",
    ),
    (
        SMALLEST + "strategies: [{policy: {default: {chunker: semantic, embedder: true}}}]\n"
        "embedder: {kind: azure_openai, model: m, endpoint: https://x.openai.azure.com}\n",
        "chunkers embed every sentence in processes without a network",
    ),
    (SMALLEST + "embedder: {kind: onyx, model: m}\n", "embedder.kind: unknown kind of embedder"),
    (SMALLEST + "embedder: {kind: onnx}\n", "embedder.model: is missing"),
    (SMALLEST + "embedder: {model: m, endpoint: x}\n", "embedder.endpoint: unknown key"),
    (SMALLEST + "embedder: {kind: azure_openai, model: m}\n", "embedder.endpoint: is missing"),
]


@pytest.mark.parametrize(("text", "words"), WRONG_TYPES)
def test_wrong_values_name_key_value_and_example(tmp_path: Path, text: str, words: str) -> None:
    assert words in refuse(tmp_path, text)


@pytest.mark.parametrize("key", RESERVED)
def test_reserved_keys_are_not_supported_yet(tmp_path: Path, key: str) -> None:
    assert f"line 5: {key}: not supported yet" in refuse(tmp_path, f"{SMALLEST}{key}: {{}}\n")


@pytest.mark.parametrize("key", ["sources", "strategies", "sinks"])
def test_names_are_unique(tmp_path: Path, key: str) -> None:
    entry = "{name: x, uri: a, kind: lancedb}" if key == "sinks" else "{name: x}"
    entry = "{name: x, uri: a}" if key == "sources" else entry
    text = f"name: a\nlake: l\n{key}: [{entry}, {entry}]\n"
    text += "" if key == "sources" else "sources: [{uri: a}]\n"
    assert f"{key}[1].name: 'x' is also the name of {key}[0]" in refuse(tmp_path, text)


def test_equal_default_names_of_sources_are_refused(tmp_path: Path) -> None:
    text = "name: a\nlake: l\nsources: [{uri: a/docs}, {uri: b/docs}]\n"
    assert "give this one another: `name: docs-2`" in refuse(tmp_path, text)


def test_a_policys_mistakes_have_file_and_line(tmp_path: Path) -> None:
    inline = SMALLEST + "strategies:\n  - policy:\n      default: structure\n      rulez: []\n"
    assert "line 8: strategies[0].policy.rulez: unknown key 'rulez'" in refuse(tmp_path, inline)
    (tmp_path / "p.yaml").write_text("default: structure\nrules:\n  - when: {datatype: pdf}\n")
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, SMALLEST + "strategies: [{policy: p.yaml}]\n")
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'p.yaml'}, line 3: rules[0].when.datatype: unknown")
    bad = SMALLEST + "strategies:\n  - policy:\n      default: {chunker: structur}\n"
    assert "line 7: strategies[0].policy.default: unknown chunker" in refuse(tmp_path, bad)
    size = "strategies: [{max_tokens: 64, policy: {default: {chunker: fixed, target_tokens: 65}}}]"
    assert "strategies[0].policy.default: " in refuse(tmp_path, SMALLEST + size)


def test_environment_variables(tmp_path: Path) -> None:
    text = (
        "name: ${NAME:-fallback}\nlake: ${LAKE}/${SUB:-sub}\nsources: [{uri: 'a$${B}'}]\n"
        "batch: {documents: '${BATCH}'}\n"
    )
    config = load(tmp_path, text, LAKE="az://box", BATCH="7")
    assert (config.name, config.lake) == ("fallback", "az://box/sub")
    assert config.sources[0].uri == str(tmp_path / "a${B}")
    assert config.batch.documents == 7
    assert load(tmp_path, text, LAKE="az://b", BATCH="1", NAME="given").name == "given"
    message = refuse(tmp_path, text, BATCH="7")
    assert "line 2: lake: the environment variable LAKE is not set" in message
    assert "${LAKE:-default}" in message
    assert "batch.documents: must be a whole number" in refuse(tmp_path, text, LAKE="x", BATCH="y")
    assert "${1X} does not name" in refuse(tmp_path, SMALLEST.replace("samples", "${1X}"))


SECRETS = [
    "lake: 'az://x?AccountKey=abc123'",
    "lake: 'https://a.blob.core.windows.net/x?sv=1&sig=abc123'",
    "lake: DefaultEndpointsProtocol=https;AccountName=a",
    "lake: postgres://me:abc123@host/db",
    "lake: l\nsinks: [{kind: lancedb, uri: x, options: {password: abc123}}]",
]


@pytest.mark.parametrize("lines", SECRETS)
def test_a_literal_secret_is_refused_and_not_repeated(tmp_path: Path, lines: str) -> None:
    message = refuse(tmp_path, f"name: a\nsources: [{{uri: a}}]\n{lines}\n")
    assert "holds a secret in clear text" in message
    assert "environment" in message
    assert "abc123" not in message


def test_what_came_from_the_environment_is_not_in_raw(tmp_path: Path) -> None:
    text = SMALLEST + "sinks: [{kind: lancedb, uri: x, options: {password: '${PASSWORD}'}}]\n"
    config = load(tmp_path, text, PASSWORD="abc123")
    assert config.sinks[0].options == {"password": "abc123"}
    assert "abc123" not in json.dumps(config.raw)
    assert config.raw["sinks"][0]["options"] == {"password": "${PASSWORD}"}


NOT_YAML = [
    ("", "is empty. `gristmill init FOLDER"),
    ("# nothing\n", "is empty"),
    ("just text", "must be a mapping, not text 'just text'"),
    ("- a\n", "must be a mapping, not a list"),
    ("a: [1\nb: 2", "not valid YAML"),
    ("name: a\n\tlake: b\n", "line 2: not valid YAML"),
    ("name: a\n\tlake: b\n", "Indent with spaces, never with tabs."),
    ("name: a\nname: b\n", "line 2: name: given twice, first on line 1"),
    (SMALLEST + "    uri: other\n", "line 5: sources[0].uri: given twice, first on line 4"),
    ("1: a\n", "a key must be text, not 1"),
    ("on: a\n", "a key must be text, not True"),
    ("name: !!python/object:os.system x\n", "not valid YAML"),
    ("a: &a [*a]\n", "an alias repeats itself"),
    ("--- {}\n--- {}\n", "not valid YAML"),
]


@pytest.mark.parametrize(("text", "words"), NOT_YAML)
def test_what_is_no_config(tmp_path: Path, text: str, words: str) -> None:
    assert words in refuse(tmp_path, text)


def test_aliases_that_multiply_are_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    assert "an alias repeats itself or too much" in refuse(tmp_path, "\n".join(lines))


def test_merge_keys_work_and_are_no_repetition(tmp_path: Path) -> None:
    text = SMALLEST + "    labels: &l {a: x, b: y}\n  - {uri: other, labels: {<<: *l, b: z}}\n"
    assert load(tmp_path, text).sources[1].labels == {"a": "x", "b": "z"}


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no such file.*gristmill init"):
        load_config(tmp_path / "missing.yaml")
    with pytest.raises(ConfigError, match="is a folder, not a config file"):
        load_config(tmp_path)
    (tmp_path / "latin.yaml").write_bytes("name: caf\xe9\n".encode("latin-1"))
    with pytest.raises(ConfigError, match="is not UTF-8 text"):
        load_config(tmp_path / "latin.yaml")


def test_a_byte_order_mark_is_fine(tmp_path: Path) -> None:
    assert load(tmp_path, "\ufeff" + SMALLEST).name == "handbook"


def test_lookups_by_name(tmp_path: Path) -> None:
    config = load(tmp_path, SMALLEST)
    assert config.source("samples") is config.sources[0]
    with pytest.raises(ConfigError, match="unknown strategy 'defalt'; did you mean 'default'"):
        config.strategy("defalt")
    with pytest.raises(ConfigError, match="add one under `sinks`"):
        config.sink()


def test_strategy_fingerprint_ignores_only_the_name(tmp_path: Path) -> None:
    strategy = load(tmp_path, SMALLEST).strategies[0]
    assert dataclasses.replace(strategy, name="x").fingerprint() == strategy.fingerprint()
    others = [
        dataclasses.replace(strategy, max_tokens=256),
        dataclasses.replace(strategy, encoding="cl100k_base"),
    ]
    assert strategy.fingerprint() not in [other.fingerprint() for other in others]


def test_run_options() -> None:
    with pytest.raises(ConfigError, match="--workers must be at least 1, not 0"):
        RunOptions(workers=0)
    with pytest.raises(ConfigError, match="--batch must be at least 1 document, not 0"):
        RunOptions(batch=0)
    ids = [new_run_id() for _ in range(200)]
    assert len(set(ids)) == 200
    assert {identifier[14] for identifier in ids} == {"7"}
    assert {identifier[19] for identifier in ids} <= set("89ab")
