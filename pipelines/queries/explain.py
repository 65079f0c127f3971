"""Which rule of a policy decides about a document, why, and what comes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from chunkers.policy import Facts
from chunkers.shape import shape_of
from lineage.errors import ConfigError, TerminalError
from lineage.records import Block, Document
from pipelines.config import Config, SourceConfig, StrategyConfig
from pipelines.facts import document_facts, document_key, source_roots
from pipelines.queries.find import find_document
from pipelines.tables import Lake
from pipelines.tables.lake import by_file
from pipelines.tables.reading import content_places, read_rows


@dataclass(frozen=True, slots=True)
class Subject:
    """The document that is explained, from the lake or straight from a file."""

    facts: Facts
    document: Document
    known: bool
    """Whether the lake knows it; what else is said is then as of the last ingest."""
    acl: str
    note: str | None = None


def explain(
    config: Config, target: str, *, strategy: str | None = None, chunks: bool = False
) -> dict[str, Any]:
    """For each strategy every rule's verdict on `target`, the chunker, its parameters and sizes.

    Args:
        config: the pipeline.
        target: a document as `find_document` takes it, or a local file that need not be ingested.
        strategy: only this one.
        chunks: chunk the document and preview what comes out.

    Raises:
        ConfigError: there is no such document and no such file.
        TerminalError: the file cannot be parsed, or has no text to chunk.
    """
    chosen = [config.strategy(strategy)] if strategy else list(config.strategies)
    subject = subject_of(config, target, with_text=chunks)
    facts = asdict(subject.facts)
    return {
        "target": target,
        "document_id": subject.document.document_id or None,
        "source_uri": subject.document.source_uri,
        "ingested": subject.known,
        "facts": facts,
        "parser": subject.document.parser.fingerprint if subject.document.parser else None,
        "acl": subject.acl,
        "note": subject.note,
        "strategies": {s.name: _explain(s, subject, chunks) for s in chosen},
    }


def _explain(strategy: StrategyConfig, subject: Subject, chunks: bool) -> dict[str, Any]:
    policy = strategy.policy
    route = policy.route(subject.facts)
    result: dict[str, Any] = {
        "rules": [asdict(verdict) for verdict in policy.explain(subject.facts)],
        "rule": route.rule,
        "chunker": route.chunker,
        "parameters": dict(route.parameters),
        "profiles": {name: list(policy.profiles[name].reasons) for name in route.profiles},
        "encoding": strategy.encoding,
        "max_tokens": strategy.max_tokens,
    }
    return result | _sizes_and_chunks(strategy, subject, chunks)


def _sizes_and_chunks(strategy: StrategyConfig, subject: Subject, chunks: bool) -> dict[str, Any]:
    """The target that fits the document, step by step, and a preview of the chunks."""
    from chunkers.adaptive import AdaptiveChunker
    from chunkers.registry import build
    from chunkers.tokens import TokenMap, count_with_context

    route = strategy.policy.route(subject.facts)
    chunker = build(route.chunker, route.parameters, max_tokens=strategy.max_tokens)
    text = subject.document.text
    result: dict[str, Any] = {}
    if not chunks and not (isinstance(chunker, AdaptiveChunker) and text):
        return result
    tokens = TokenMap(text, strategy.encoding)
    if isinstance(chunker, AdaptiveChunker) and text:
        steps = chunker.steps(subject.document, tokens)
        result["size"] = [step._asdict() for step in steps]
        result["target_tokens"] = steps[-1].tokens
    if not chunks:
        return result
    return result | {
        "chunks": [
            {
                "start": span.start,
                "end": span.end,
                "level": span.level,
                "granularity": span.granularity,
                "parent": span.parent,
                "tokens": count_with_context(tokens, span),
                "heading_path": list(span.heading_path),
                "context": span.context,
                "text": text[span.start : span.end],
            }
            for span in chunker.spans(subject.document, tokens)
        ]
    }


def subject_of(config: Config, target: str, *, with_text: bool) -> Subject:
    """The document that `target` means, from the lake, or as ingest would make it of a file.

    Raises:
        ConfigError: it is neither a document of the lake nor a file.
        TerminalError: it would be rejected, or its text is not there.
    """
    row = find_document(config, target)
    path = Path(target)
    if row is None and not path.is_file():
        in_sources = [p for s in config.sources if (p := Path(s.uri) / target).is_file()]
        if not in_sources:
            raise ConfigError(
                f"{target!r} is neither a document of the lake {config.lake} nor a file here. "
                "Give a path, a source URI, or a document id."
            )
        path = in_sources[0]
    if row is None:
        return _from_file(config, path.absolute())
    return _from_lake(config, row, with_text)


def _from_lake(config: Config, row: dict[str, Any], with_text: bool) -> Subject:
    note = None
    error = row["error"]
    if row["op"] == "reject" and error:
        note = f"rejected by {error['stage']}: {error['error_class']}: {error['message']}"
    text = ""
    blocks: list[Block] = []
    if row["content_seq"] is not None:
        text, blocks = _content(Lake(config.lake), row["document_id"], row["content_seq"])
    elif with_text:
        raise TerminalError(f"{row['source_uri']} has no text to chunk: {note}")
    parser = row["parser"]
    shape = shape_of(blocks) if row["content_seq"] is not None else None
    facts = document_facts(row, source_roots(config.sources), shape)
    document = Document(
        text=text,
        blocks=blocks,
        document_id=row["document_id"],
        source_uri=row["source_uri"],
        media_type=row["media_type"],
        data_type=facts.data_type,
        language=row["language"],
        title=row["title"],
        text_is_source=bool(row["text_is_source"]),
        parser=_parser(parser),
    )
    return Subject(facts, document, True, describe_acl(row["acl"]), note)


def _parser(value: dict[str, Any] | None) -> Any:
    from lineage.records import ParserInfo

    return ParserInfo(**value) if value and value["name"] else None


def _content(lake: Lake, document_id: str, content_seq: int) -> tuple[str, list[Block]]:
    contents = {document_id: content_seq}
    table = lake.documents
    for place, wanted in by_file(content_places(table, contents), contents):
        for rows in read_rows(table.folder, place, ["text", "blocks"], wanted):
            for row in rows.to_pylist():
                return row["text"], [_block(block) for block in row["blocks"] or ()]
    raise TerminalError(f"the text of document {document_id} is not at commit {content_seq}")


def _block(value: dict[str, Any]) -> Block:
    box = value.pop("bbox", None)
    edges = None
    if box and box["left"] is not None:
        edges = (box["left"], box["top"], box["right"], box["bottom"])
    return Block(**value, bbox=edges)


def _from_file(config: Config, path: Path) -> Subject:
    from pipelines.ingest.parsers import parse_bytes
    from pipelines.ingest.parsers.base import ParseError

    source = _source_of(config, path)
    key = path.name
    choice = None
    labels: dict[str, str] = {}
    note = "not ingested yet: what is said here is what ingest would make of the file"
    if source is not None:
        root = source_roots([source])[source.name]
        key, choice, labels = document_key(path.as_uri(), root), source.parser, dict(source.labels)
    else:
        note = "in none of the config's sources: rules on its path see only its name"
    data = path.read_bytes()
    try:
        parsed, parser = parse_bytes(data, name=key, choice=choice)
    except ParseError as error:
        raise TerminalError(f"{path} would be rejected: {error}") from error
    facts = Facts(
        data_type=parsed.data_type,
        media_type=parsed.media_type,
        path=key,
        size_bytes=len(data),
        language=parsed.language,
        labels=labels,
        shape=shape_of(parsed.blocks),
    )
    document = Document(
        text=parsed.text,
        blocks=parsed.blocks,
        source_uri=path.as_uri(),
        media_type=parsed.media_type,
        data_type=parsed.data_type,
        language=parsed.language,
        title=parsed.title,
        text_is_source=parsed.text_is_source,
        parser=parser,
    )
    return Subject(facts, document, False, "resolved at ingest", note)


def _source_of(config: Config, path: Path) -> SourceConfig | None:
    """The local source that the file lies in; the innermost where they nest."""
    around: Sequence[SourceConfig] = [
        s for s in config.sources if "://" not in s.uri and path.is_relative_to(s.uri)
    ]
    return max(around, key=lambda s: len(s.uri), default=None)


def describe_acl(value: dict[str, Any] | None) -> str:
    """Who may read what carries this ACL, in one line."""
    if not value or value["state"] == "unknown":
        return f"nobody: unknown ({(value or {}).get('origin') or 'no origin'})"
    denies = [*(f"user {u}" for u in value["deny_users"] or ()),
              *(f"group {g}" for g in value["deny_groups"] or ())]  # fmt: skip
    allows = [*(f"user {u}" for u in value["allow_users"] or ()),
              *(f"group {g}" for g in value["allow_groups"] or ())]  # fmt: skip
    who = "everybody" if value["state"] == "public" else ", ".join(allows) or "nobody"
    but = f", but not {', '.join(denies)}" if denies else ""
    return f"{who}{but} ({value['origin'] or 'no origin'})"
