"""RTF, written by hand."""

from __future__ import annotations

from sample_writers.markup import Node

_SIZES = {1: 36, 2: 28, 3: 24}


def rtf(nodes: list[Node]) -> bytes:
    """A rich text document; headings are styled paragraphs, tables are real rows."""
    styles = "".join(rf"{{\s{n} heading {n};}}" for n in _SIZES)
    head = rf"{{\rtf1\ansi\ansicpg1252\deff0{{\fonttbl{{\f0 Calibri;}}}}{{\stylesheet{styles}}}"
    return (head + "\n" + "\n".join(map(_node, nodes)) + "\n}").encode("ascii")


def _escape(text: str) -> str:
    out = []
    for char in text:
        if char in "\\{}":
            out.append("\\" + char)
        elif ord(char) < 128:
            out.append(char)
        else:
            out.append(rf"\u{ord(char)}?")
    return "".join(out)


def _node(node: Node) -> str:
    if node.kind == "heading":
        size = _SIZES[node.level]
        style = rf"\s{node.level}\outlinelevel{node.level - 1}\b\fs{size}"
        return rf"{{\pard{style} {_escape(node.text)}\par}}"
    if node.kind in ("bullets", "numbers"):
        marks = (r"\bullet" if node.kind == "bullets" else f"{n}." for n in range(1, 100))
        return "\n".join(
            rf"{{\pard\li360 {mark}\tab {_escape(item)}\par}}"
            for mark, item in zip(marks, node.items, strict=False)
        )
    if node.kind == "table":
        return "\n".join(map(_row, node.rows)) + r"\pard"
    return rf"{{\pard\fs22 {_escape(node.text)}\par}}"


def _row(cells: tuple[str, ...]) -> str:
    edges = "".join(rf"\cellx{1800 * (n + 1)}" for n in range(len(cells)))
    body = "".join(rf"\pard\intbl {_escape(cell)}\cell" for cell in cells)
    return rf"\trowd{edges}{body}\row"
