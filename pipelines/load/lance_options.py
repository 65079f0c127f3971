"""The options of a LanceDB sink, and the indexes that it makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from chunkers.suggest import unknown
from lineage import ConfigError

if TYPE_CHECKING:
    from lancedb.table import Table

    from pipelines.config import SinkConfig

TEXT_COLUMN = "embedded_text"
_MAX_TOKEN_LENGTH = 200
_LIST_INDEXES = ("allow_users", "allow_groups", "deny_users", "deny_groups")
_KEY_INDEXES = ("chunk_id", "document_id")

OPTIONS: dict[str, tuple[type, Any, str]] = {
    "language": (str, "English", "the language whose word endings are cut off, such as German"),
    "stem": (bool, True, "whether to cut off word endings at all"),
    "stop_words": (bool, False, "whether to leave that language's commonest words out"),
    "tokenizer": (str, "icu", "how words are found: icu (any language), simple or whitespace"),
}
"""What `options` of a sink of kind lancedb may hold: type, default, meaning. Changing one
builds the index anew."""

_LANGUAGES = (
    "Arabic", "Danish", "Dutch", "English", "Finnish", "French", "German", "Greek", "Hungarian",
    "Italian", "Norwegian", "Portuguese", "Romanian", "Russian", "Spanish", "Swedish", "Tamil",
    "Turkish",
)  # fmt: skip
_CHOICES = {"tokenizer": ("icu", "simple", "whitespace"), "language": _LANGUAGES}


def read_options(config: SinkConfig) -> dict[str, Any]:
    """The options of a sink, those that are not given filled in.

    Raises:
        ConfigError: an unknown option, or a value that it cannot have.
    """
    for key in config.options:
        if key not in OPTIONS:
            raise ConfigError(f"{config.place.at('options')}: {unknown('option', key, OPTIONS)}")
    values = {key: default for key, (_, default, _) in OPTIONS.items()} | dict(config.options)
    for key, value in values.items():
        kind, default, meaning = OPTIONS[key]
        choices = _CHOICES.get(key)
        if not isinstance(value, kind) or (choices is not None and value not in choices):
            known = f"; known are {', '.join(choices)}" if choices else ""
            raise ConfigError(
                f"{config.place.at('options')}: {key!r} ({meaning}) cannot be {value!r}{known}; "
                f"the default is {default!r}"
            )
    return values


def make_indexes(table: Table, options: Mapping[str, Any]) -> None:
    """Make those indexes that are not there yet."""
    from lancedb.index import FTS, Bitmap, BTree, LabelList

    text = FTS(
        base_tokenizer=options["tokenizer"],
        language=options["language"],
        stem=options["stem"],
        remove_stop_words=options["stop_words"],
        max_token_length=_MAX_TOKEN_LENGTH,
        with_position=False,
    )
    wanted: dict[str, Any] = {
        **{name: BTree() for name in _KEY_INDEXES},
        **{name: LabelList() for name in _LIST_INDEXES},
        "acl_state": Bitmap(),
        TEXT_COLUMN: text,
    }
    present = {column for index in table.list_indices() for column in index.columns}
    for column, config in wanted.items():
        if column not in present:
            table.create_index(column, config=config)


def index_keys(table: Table) -> None:
    """Have all rows in the index of document ids, if there is one.

    While it holds every row, LanceDB changes the rights of documents by writing those columns anew.
    Otherwise it writes whole rows, text included, and puts their text into its index again. A merge
    takes the rows that it touched out of the index.
    """
    from lancedb.index import BTree

    for index in table.list_indices():
        if index.columns == ["document_id"]:
            held = table.index_stats(index.name)
            if held is None or held.num_unindexed_rows:
                table.create_index("document_id", config=BTree(), replace=True)
