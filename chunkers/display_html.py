"""Chunks as HTML: boxes in turning colours, the larger ones around the smaller."""

from __future__ import annotations

import html

from chunkers.display import ChunkView, Node, label_of, parts_of, visible

_HUES = (205, 145, 85, 35, 320, 265)
"""Neighbours are far apart, and no two of the first three differ in red and green alone."""

_STYLE = """
<style>
.gristmill-chunks{--ink:#1b1f24;--soft:#57606a;--line:#d0d7de;--tint:95%;--edge:52%;--mark:84%;
 color:var(--ink);background:transparent;font:14px/1.5 system-ui,sans-serif;max-width:60rem;
 text-align:left}
.gristmill-chunks p{margin:0 0 .6em;color:var(--soft)}
.gristmill-chunks section{border:1px solid var(--line);border-left:5px solid
 hsl(var(--hue) 60% var(--edge));border-radius:4px;margin:0 0 .5em;overflow:hidden;
 background:hsl(var(--hue) 70% var(--tint))}
.gristmill-chunks section.around{background:transparent;padding:0 0 0 .5em}
.gristmill-chunks header{display:flex;flex-wrap:wrap;gap:.1em .9em;align-items:baseline;
 padding:.25em .7em;font-size:12px;color:var(--soft)}
.gristmill-chunks header b{color:var(--ink)}
.gristmill-chunks meter{flex:0 0 5em;width:5em;height:.7em}
.gristmill-chunks .context{padding:0 .7em .3em;font-size:12px;font-style:italic;color:var(--soft);
 white-space:pre-wrap;overflow-wrap:anywhere}
.gristmill-chunks pre{margin:0;padding:.1em .7em .6em;background:transparent;color:inherit;
 border:0;font:13px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;white-space:pre-wrap;
 overflow-wrap:anywhere;unicode-bidi:isolate}
.gristmill-chunks mark{color:inherit;background:hsl(var(--hue) 55% var(--mark));
 text-decoration:underline dotted;border-radius:2px}
@media (prefers-color-scheme:dark){.gristmill-chunks{--ink:#e6edf3;--soft:#9198a1;--line:#3d444d;
 --tint:13%;--edge:60%;--mark:28%}}
[data-jp-theme-light="true"] .gristmill-chunks,body.vscode-light .gristmill-chunks{--ink:#1b1f24;
 --soft:#57606a;--line:#d0d7de;--tint:95%;--edge:52%;--mark:84%}
[data-jp-theme-light="false"] .gristmill-chunks,body.vscode-dark .gristmill-chunks{--ink:#e6edf3;
 --soft:#9198a1;--line:#3d444d;--tint:13%;--edge:60%;--mark:28%}
</style>
"""


def fragment(view: ChunkView) -> str:
    """A `div` with its own style: nothing is fetched, and no script runs."""
    boxes = "".join(_box(node, view.max_tokens) for node in view.nodes())
    summary = html.escape(view.summary())
    return f'{_STYLE}<div class="gristmill-chunks"><p>{summary}</p>{boxes}</div>'


def _box(node: Node, cap: int) -> str:
    piece = node.chunk
    hue = _HUES[(node.number - 1 + 3 * piece.level) % len(_HUES)]
    head = (
        f"<header><b>{html.escape(label_of(node))}</b><span>{piece.tokens} tokens</span>"
        + ("" if node.children else _meter(piece.tokens, cap))
        + f"<span>[{piece.start}:{piece.end}]</span></header>"
    )
    if node.children:
        inner = "".join(_box(child, cap) for child in node.children)
        return f'<section class="around" style="--hue:{hue}">{head}{inner}</section>'
    context = ""
    if piece.context:
        context = f'<div class="context" dir="auto">{html.escape(visible(piece.context))}</div>'
    repeated, rest = parts_of(piece)
    again = f'<mark title="also in the chunk before">{html.escape(repeated)}</mark>'
    body = f"{again if repeated else ''}{html.escape(rest)}"
    return f'<section style="--hue:{hue}">{head}{context}<pre dir="auto">{body}</pre></section>'


def _meter(tokens: int, cap: int) -> str:
    return f'<meter min="0" max="{cap}" value="{tokens}" title="{tokens} of {cap} tokens"></meter>'
