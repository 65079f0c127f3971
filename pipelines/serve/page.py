"""A page that shows an OpenAPI description; it loads nothing from anywhere."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
       color: #1d2328; background: #fff }
h2 { margin-top: 2.5rem; border-top: 1px solid #d5dade; padding-top: 1.2rem; font-size: 1.1rem }
code, pre { font: 14px/1.5 ui-monospace, monospace }
pre { background: #f3f5f6; padding: .8rem 1rem; overflow-x: auto }
table { border-collapse: collapse; width: 100% }
td, th { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0;
         border-bottom: 1px solid #e6e9eb }
.method { display: inline-block; min-width: 3.5rem; color: #fff; background: #2b5f7d;
          padding: .1rem .5rem; border-radius: .2rem; text-align: center }
@media (prefers-color-scheme: dark) {
  body { color: #dfe3e6; background: #16191c } pre { background: #22272b }
  h2, td, th { border-color: #333a40 }
}
"""


def page(api: Mapping[str, Any]) -> str:
    """The description as HTML."""
    info = api["info"]
    body = "".join(
        [
            f"<h1>{escape(info['title'])}</h1><p>{escape(info.get('description', ''))}</p>",
            '<p>As JSON: <a href="openapi.json">openapi.json</a></p>',
            *_operations(api),
        ]
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(info['title'])}</title><style>{_STYLE}</style></head>"
        f"<body>{body}</body></html>"
    )


def _operations(api: Mapping[str, Any]) -> Iterator[str]:
    for path, methods in api["paths"].items():
        for method, operation in methods.items():
            yield (
                f'<h2><span class="method">{escape(method.upper())}</span> '
                f"<code>{escape(path)}</code> {escape(operation.get('summary', ''))}</h2>"
            )
            if operation.get("description"):
                yield f"<p>{escape(operation['description'])}</p>"
            asked = _schema(api, operation.get("requestBody", {}))
            if operation.get("security"):
                yield f"<pre>{escape(_example(path, asked))}</pre>"
            if asked:
                yield _fields("Request", asked)
            answer = _schema(api, operation["responses"].get("200", {}))
            if answer:
                yield _fields("Answer", answer)
            each = answer.get("properties", {}).get("hits", {}).get("items")
            if each:
                yield _fields("Each of its hits", _resolved(api, each))


def _example(path: str, asked: Mapping[str, Any]) -> str:
    lines = [f"curl http://HOST{path} -H 'Authorization: Bearer TOKEN'"]
    if asked:
        required = asked.get("required", [])
        body = {name: _sample(name, asked["properties"][name]) for name in required}
        lines.append(f"  -H 'Content-Type: application/json' -d '{json.dumps(body)}'")
    return " \\\n".join(lines)


def _sample(name: str, value: Mapping[str, Any]) -> Any:
    if "enum" in value:
        return value["enum"][0]
    return "parental leave" if name == "query" else name.upper()


def _schema(api: Mapping[str, Any], holder: Mapping[str, Any]) -> Mapping[str, Any]:
    found = holder.get("content", {}).get("application/json", {}).get("schema", {})
    return _resolved(api, found)


def _resolved(api: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    resolved: Mapping[str, Any] = api["components"]["schemas"][name] if name else schema
    return resolved


def _fields(title: str, schema: Mapping[str, Any]) -> str:
    required = schema.get("required", [])
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td>{escape(_type(value))}"
        f"{'' if name in required else ', optional'}</td>"
        f"<td>{escape(value.get('description', ''))}</td></tr>"
        for name, value in schema.get("properties", {}).items()
    )
    return f"<table><tr><th>{title}</th><th></th><th></th></tr>{rows}</table>" if rows else ""


def _type(value: Mapping[str, Any]) -> str:
    return " or ".join(
        ", ".join(kind["enum"]) if "enum" in kind else str(kind.get("type", "object"))
        for kind in value.get("anyOf", [value])
    )
