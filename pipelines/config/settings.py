"""What a configuration says, as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from chunkers.policy import Policy
from chunkers.suggest import unknown
from lineage.acl import Acl
from lineage.errors import ConfigError
from lineage.ids import fingerprint
from pipelines.config.place import ConfigPlace

DEFAULT_ENCODING = "o200k_base"
DEFAULT_MAX_TOKENS = 512


@dataclass(frozen=True, slots=True)
class RecordsConfig:
    """Which columns of a table of records are what."""

    key: str = "id"
    text: str = "text"
    title: str | None = None
    media_type: str | None = None
    modified_at: str | None = None
    acl: Mapping[str, str] = field(default_factory=dict)
    """`allow_users`, `allow_groups`, `deny_users`, `deny_groups` to the column that lists them."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Label to column."""


@dataclass(frozen=True, slots=True)
class AdlsConfig:
    """How a lake's own access lists (ADLS Gen2) become those of its documents."""

    reader_users: tuple[str, ...] = ()
    """Users who may read by a role on the container or account, whatever the lists say."""
    reader_groups: tuple[str, ...] = ()
    nested_groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Group to the groups in it, whose members are its members, too."""
    inexact: str = "unknown"
    """What becomes of rights that a flat list cannot say: `unknown`, or `narrow` for less."""


@dataclass(frozen=True, slots=True)
class IdentityConfig:
    """What names in access lists stand for."""

    map: Mapping[str, str] = field(default_factory=dict)
    """Name as sources write it to the name that callers have, such as a directory's object id."""


@dataclass(frozen=True, slots=True)
class SourceConfig:
    """Where documents come from."""

    name: str
    """Unique in the lake; document ids are made of it."""
    uri: str
    """An absolute local path, or a URI."""
    include: tuple[str, ...] = ("**/*",)
    exclude: tuple[str, ...] = ()
    acl: Acl | None = None
    """For documents that carry no ACL of their own; null means `unknown`, hence nobody."""
    adls: AdlsConfig | None = None
    """With it, rights come from the lake's own access lists."""
    labels: Mapping[str, str] = field(default_factory=dict)
    parser: str | Mapping[str, str] | None = None
    """A parser's name for all formats that it knows, or format to parser's name."""
    records: RecordsConfig | None = None
    apart: tuple[str, ...] = ()
    """Paths below `uri` where this pipeline keeps its own tables: nothing there is a document."""
    place: ConfigPlace = field(default=ConfigPlace("sources[]"), compare=False, repr=False)
    """Where it stands in the configuration, for messages."""


@dataclass(frozen=True, slots=True)
class StrategyConfig:
    """A way to chunk: a policy under a hard cap, in tokens of an encoding."""

    name: str = "default"
    encoding: str = DEFAULT_ENCODING
    max_tokens: int = DEFAULT_MAX_TOKENS
    """The hard cap of a chunk in tokens, its context included."""
    policy: Policy = field(default_factory=Policy.built_in)
    """The one in force."""
    promoted: bool = False
    """Whether it follows what is promoted in the lake; see `pipelines.policies`."""
    otherwise: Policy | None = None
    """What the configuration says by itself, when a promoted policy is in force."""
    version: int = 0
    """Number of the promoted policy in force; 0 for what the configuration says by itself."""

    @property
    def configured(self) -> Policy:
        """What the configuration says by itself."""
        return self.policy if self.otherwise is None else self.otherwise

    def fingerprint(self) -> str:
        """Changes when anything that decides about chunks does; the name is not part of it."""
        return fingerprint(
            {
                "policy": self.policy.as_value(),
                "encoding": self.encoding,
                "max_tokens": self.max_tokens,
            }
        )

    def consumer(self) -> str:
        """The name under which transform keeps its position in the strategy's chunk table."""
        return f"transform:{self.name}:{self.fingerprint()}"


@dataclass(frozen=True, slots=True)
class EmbedderConfig:
    """What makes vectors."""

    kind: str
    """`onnx` or `azure_openai`."""
    model: str
    """An absolute folder, or a model's name."""
    threads: int = 1
    deployment: str = ""
    endpoint: str = ""
    dimensions: int | None = None
    tokens_per_minute: int = 350_000
    requests_per_minute: int = 2_100
    api_version: str = "2024-10-21"
    place: ConfigPlace = field(default=ConfigPlace("embedder"), compare=False, repr=False)
    """Where it stands in the configuration, for messages."""

    def fingerprint(self) -> str:
        """Changes when the same text may get another vector; found out without loading a model.

        For a local folder it also changes when its files are only written anew.
        """
        folder = Path(self.model)
        files: list[tuple[str, int, int]] = []
        if self.kind == "onnx" and folder.is_dir():
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    stat = path.stat()
                    name = str(path.relative_to(folder))
                    files.append((name, stat.st_size, stat.st_mtime_ns))
        return fingerprint([self.kind, self.model if not files else "", self.dimensions, files])


@dataclass(frozen=True, slots=True)
class SinkConfig:
    """Where the chunks of a strategy are loaded to."""

    name: str
    kind: str
    uri: str
    """An absolute local path, or a URI."""
    strategy: str = "default"
    options: Mapping[str, Any] = field(default_factory=dict)
    embedder: EmbedderConfig | None = None
    """What makes the vectors of the chunks; null for a sink without vectors."""
    place: ConfigPlace = field(default=ConfigPlace("sinks[]"), compare=False, repr=False)
    """Where it stands in the configuration, for messages."""


@dataclass(frozen=True, slots=True)
class MlflowConfig:
    """Where runs are recorded."""

    tracking_uri: str
    experiment: str


@dataclass(frozen=True, slots=True)
class GuardConfig:
    """When deletions are held back, per source; an empty listing always holds them."""

    max_delete_ratio: float = 0.5
    """Share of a source's known documents that one run may delete."""
    min_documents: int = 5
    """Sources with fewer known documents than this are not guarded by the ratio."""


@dataclass(frozen=True, slots=True)
class BatchConfig:
    """How much is committed at once."""

    documents: int = 5000


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that may be spent; null is no limit."""

    tokens: int | None = None
    money: float | None = None

    @property
    def set(self) -> bool:
        """Whether there is one."""
        return self.tokens is not None or self.money is not None


@dataclass(frozen=True, slots=True)
class BudgetConfig:
    """What may be spent, at which prices, and who pays."""

    labels: tuple[str, ...] = ("owner", "cost_centre")
    """The labels by which costs are reported."""
    currency: str = ""
    embedding_price: float | None = None
    """For a million tokens; see `pipelines.budget` for which tokens count."""
    compute_price: float | None = None
    """For an hour of work."""
    run: Limits = Limits()
    month: Limits = Limits()
    """A calendar month in UTC, over all runs of the pipeline in its lake."""


@dataclass(frozen=True, slots=True)
class LineageConfig:
    """Where OpenLineage events of runs go."""

    enabled: bool = True
    file: str | None = None
    """An absolute local path; by default `_lineage/openlineage.jsonl` in a local lake."""
    url: str | None = None
    """An endpoint, in place of the file."""
    endpoint: str = "api/v1/lineage"
    """Path of the endpoint below `url`."""
    namespace: str = "gristmill"
    """Of the jobs: what tells deployments apart."""


@dataclass(frozen=True, slots=True)
class ServeConfig:
    """The read API. Without an issuer it serves only one local principal."""

    issuer: str = ""
    """The OpenID Connect issuer, exactly as its tokens name it."""
    audience: str = ""
    """What tokens for this API are for."""
    jwks_uri: str | None = None
    """Where the issuer's keys are; by default its discovery document says so."""
    algorithms: tuple[str, ...] = ("RS256",)
    user_claim: str = "oid"
    groups_claim: str = "groups"
    missing_groups: str = "refuse"
    """A token without the groups claim: `refuse`, or `none` for a caller in no group."""
    sink: str | None = None
    """By default the first one that can be searched."""
    host: str = "127.0.0.1"
    port: int = 8080
    max_limit: int = 50
    """Hits to an answer."""
    max_query_chars: int = 2_000
    max_body_bytes: int = 64 << 10
    requests_per_minute: int = 120
    """Of one caller, or of one address that sends no valid token."""


@dataclass(frozen=True, slots=True)
class EvaluationConfig:
    """What strategies are compared by."""

    evidence: tuple[str, ...] = ()
    """Absolute paths of evidence files; of questions in several, the last one's count."""
    strategies: tuple[StrategyConfig, ...] = ()
    """Compared besides the pipeline's own; a grid is expanded into these."""
    skipped: tuple[str, ...] = ()
    """Combinations of the grid that cannot be, and why."""
    retrievers: tuple[str, ...] = ("bm25",)
    """`bm25`, `dense`, `hybrid`; the ranking goes by the first. The last two need `embedder`."""
    k: tuple[int, ...] = (1, 3, 5, 10, 20)
    budgets: tuple[int, ...] = (500, 1000, 2000)
    """Tokens that a reader takes in per question, in tokens of `encoding`."""
    encoding: str = DEFAULT_ENCODING
    max_documents: int = 10_000
    """Documents without evidence that are taken into the snapshot at most."""
    objective: str = "recall_at_1000_tokens"
    """The metric that the ranking goes by."""
    report: str | None = None
    """Absolute path of the folder for reports; beside a local lake when null."""

    @property
    def embeds(self) -> bool:
        """Whether a retriever needs vectors."""
        return bool({"dense", "hybrid"} & set(self.retrievers))


_Item = TypeVar("_Item", SourceConfig, StrategyConfig, SinkConfig)


@dataclass(frozen=True, slots=True)
class Config:
    """A whole pipeline."""

    name: str
    lake: str
    """An absolute local path, or a URI."""
    sources: tuple[SourceConfig, ...]
    strategies: tuple[StrategyConfig, ...] = (StrategyConfig(),)
    sinks: tuple[SinkConfig, ...] = ()
    mlflow: MlflowConfig | None = None
    guard: GuardConfig = GuardConfig()
    batch: BatchConfig = BatchConfig()
    identity: IdentityConfig = IdentityConfig()
    budget: BudgetConfig = BudgetConfig()
    serve: ServeConfig | None = None
    evaluation: EvaluationConfig = EvaluationConfig()
    embedder: EmbedderConfig | None = None
    lineage: LineageConfig = LineageConfig()
    path: Path = Path("gristmill.yaml")
    place: ConfigPlace = field(default=ConfigPlace(""), compare=False, repr=False)
    """Where its keys stand in the file, for messages."""
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False)
    """The file as written, policies included, environment variables not expanded: fit to log."""

    @property
    def embeds(self) -> bool:
        """Whether a sink of this pipeline makes vectors."""
        return any(sink.embedder is not None for sink in self.sinks)

    def source(self, name: str) -> SourceConfig:
        """The source called `name`; raises ConfigError."""
        return self._named("source", self.sources, name)

    def strategy(self, name: str) -> StrategyConfig:
        """The strategy called `name`; raises ConfigError."""
        return self._named("strategy", self.strategies, name)

    def sink(self, name: str | None = None) -> SinkConfig:
        """The sink called `name`, or the only one there is; raises ConfigError."""
        if name is None and len(self.sinks) == 1:
            return self.sinks[0]
        if name is None:
            names = ", ".join(s.name for s in self.sinks)
            cure = f"choose one of {names}" if names else "add one under `sinks`"
            raise ConfigError(f"{self.path}: has {len(self.sinks)} sinks; {cure}")
        return self._named("sink", self.sinks, name)

    def _named(self, kind: str, items: tuple[_Item, ...], name: str) -> _Item:
        for item in items:
            if item.name == name:
                return item
        raise ConfigError(f"{self.path}: {unknown(kind, name, [i.name for i in items])}")
