"""What is a definition in each programming language, in the words of its tree-sitter grammar.

Grammars come as one wheel each, with the parser compiled in: nothing is fetched at run time.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from lineage import MissingExtra

if TYPE_CHECKING:
    from tree_sitter import Language


@dataclass(frozen=True, slots=True)
class Grammar:
    """A language's grammar and its nodes of interest."""

    module: str
    """The grammar's import name without `tree_sitter_`, and its function if not `language`."""
    definitions: tuple[str, ...]
    """Node types that define something with a name."""
    wrappers: tuple[str, ...] = ()
    """Node types that enclose a definition and belong to it: decorators, `export`, templates."""
    comments: tuple[str, ...] = ("//", "/*", "*", "@", "#[")
    """How lines begin that belong to the definition below them."""
    bodied: tuple[str, ...] = ()
    """Definitions that count only with a body: `struct node` alone is a mention of the type."""


_C = ("function_definition", "struct_specifier", "enum_specifier", "union_specifier")
_JS = (
    "function_declaration", "generator_function_declaration", "class_declaration",
    "method_definition",
)  # fmt: skip
_TS = (
    *_JS, "interface_declaration", "enum_declaration", "type_alias_declaration",
    "abstract_class_declaration", "internal_module", "module", "function_signature",
)  # fmt: skip

GRAMMARS: dict[str, Grammar] = {
    "python": Grammar(
        "python",
        ("function_definition", "class_definition"),
        ("decorated_definition",),
        ("#", "@"),
    ),
    "javascript": Grammar("javascript", _JS, ("export_statement",)),
    "typescript": Grammar("typescript:language_typescript", _TS, ("export_statement",)),
    "tsx": Grammar("typescript:language_tsx", _TS, ("export_statement",)),
    "java": Grammar(
        "java",
        (
            "class_declaration", "interface_declaration", "enum_declaration", "record_declaration",
            "method_declaration", "constructor_declaration", "annotation_type_declaration",
        ),
    ),
    "c": Grammar("c", _C, ("type_definition",), bodied=_C[1:]),
    "cpp": Grammar(
        "cpp",
        (*_C, "class_specifier", "namespace_definition", "concept_definition"),
        ("template_declaration", "type_definition"),
        bodied=(*_C[1:], "class_specifier"),
    ),
    "csharp": Grammar(
        "c_sharp",
        (
            "namespace_declaration", "class_declaration", "interface_declaration",
            "struct_declaration", "record_declaration", "enum_declaration", "method_declaration",
            "constructor_declaration", "property_declaration", "delegate_declaration",
            "local_function_statement",
        ),
    ),
    "go": Grammar("go", ("function_declaration", "method_declaration", "type_declaration")),
    "rust": Grammar(
        "rust",
        (
            "function_item", "struct_item", "enum_item", "trait_item", "impl_item", "mod_item",
            "macro_definition", "union_item",
        ),
    ),
    "ruby": Grammar("ruby", ("method", "singleton_method", "class", "module"), (), ("#",)),
    "php": Grammar(
        "php:language_php",
        (
            "function_definition", "class_declaration", "interface_declaration",
            "trait_declaration", "enum_declaration", "method_declaration",
        ),
        (),
        ("//", "/*", "*", "#"),
    ),
    "bash": Grammar("bash", ("function_definition",), (), ("#",)),
    "scala": Grammar(
        "scala",
        (
            "class_definition", "object_definition", "trait_definition", "function_definition",
            "enum_definition", "given_definition",
        ),
    ),
    "kotlin": Grammar(
        "kotlin", ("class_declaration", "object_declaration", "function_declaration")
    ),
    "swift": Grammar(
        "swift",
        (
            "class_declaration", "protocol_declaration", "function_declaration",
            "init_declaration",
        ),
    ),
    "lua": Grammar("lua", ("function_declaration",), (), ("--",)),
    "sql": Grammar(
        "sql",
        (
            "create_table", "create_view", "create_function", "create_index", "create_trigger",
            "create_materialized_view", "create_type", "create_procedure",
        ),
        ("statement",),
        ("--", "/*", "*"),
    ),
    "julia": Grammar(
        "julia",
        ("function_definition", "struct_definition", "module_definition", "macro_definition"),
        (),
        ("#", '"""'),
    ),
    "elixir": Grammar("elixir", ("call",), (), ("#", "@")),
    "powershell": Grammar(
        "powershell", ("function_statement", "class_statement", "class_method_definition"), (),
        ("#", "<#"),
    ),
    "objc": Grammar(
        "objc",
        (
            "function_definition", "class_interface", "class_implementation",
            "protocol_declaration", "method_definition", "struct_specifier",
        ),
        bodied=("struct_specifier",),
    ),
    "groovy": Grammar(
        "groovy", ("function_definition", "class_declaration", "interface_declaration",
                   "enum_declaration", "method_declaration"),
    ),
}  # fmt: skip
"""Languages whose definitions are found, by the name used in `code:<name>`."""


@cache
def load_grammar(language: str) -> Language:
    """The compiled grammar of a language of `GRAMMARS`.

    Raises:
        MissingExtra: its wheel is not installed.
    """
    from tree_sitter import Language

    module, _, function = GRAMMARS[language].module.partition(":")
    try:
        grammar = import_module(f"tree_sitter_{module}")
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"definitions in {language} are found with the package "
            f"tree-sitter-{module.replace('_', '-')}, which is not installed; install "
            "gristmill[code]"
        ) from error
    return Language(getattr(grammar, function or "language")())
