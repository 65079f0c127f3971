"""JSON schemas of OpenLineage events, out of the classes that the official client ships.

The project generates those classes from its JSON schemas; here they are turned back: types,
required properties, enumerations, formats, and for each facet the one that its `_schemaURL` names.
Stricter than the originals in one thing: properties that they do not know are errors.
"""

from __future__ import annotations

import enum
import importlib
import pkgutil
import types
import typing
from datetime import datetime
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import attr
import jsonschema
from openlineage.client import generated
from openlineage.client.generated import base

_FORMATS = {
    "runId": "uuid", "eventTime": "date-time", "producer": "uri", "schemaURL": "uri",
    "_producer": "uri", "_schemaURL": "uri",
}  # fmt: skip
_PLAIN = {str: "string", int: "integer", bool: "boolean", float: "number"}
_FACETS = {"facets", "inputFacets", "outputFacets"}


@lru_cache
def facet_classes() -> dict[str, type]:
    """Every official facet class by the address of its schema."""
    found = {}
    for module in pkgutil.iter_modules(generated.__path__):
        loaded = importlib.import_module(f"{generated.__name__}.{module.name}")
        for value in vars(loaded).values():
            if isinstance(value, type) and issubclass(value, base.BaseFacet):
                found[value._get_schema()] = value
    return found


def schema_of(kind: Any) -> dict[str, Any]:
    """The JSON schema of a type."""
    if kind in _PLAIN:
        return {"type": _PLAIN[kind]}
    if kind is Any:
        return {}
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return {"enum": [member.value for member in kind]}
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        # What is null is left out of an event.
        return {"anyOf": [schema_of(one) for one in inner if one is not type(None)]}
    if origin is list:
        return {"type": "array", "items": schema_of(inner[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": schema_of(inner[1])}
    return _object(kind)


@lru_cache
def _object(kind: type) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    properties: dict[str, Any] = {}
    required = []
    for field in attr.fields(kind):  # type: ignore[arg-type]
        if field.name in _FACETS:
            properties[field.name] = {"type": "object"}  # each is checked by its own schema
        elif field.name == "fields":
            properties[field.name] = {"type": "array"}  # likewise, since they nest
        else:
            properties[field.name] = schema_of(hints[field.name])
        if field.name in _FORMATS:
            properties[field.name] = {"type": "string", "format": _FORMATS[field.name]}
        if field.default is attr.NOTHING or field.name in ("_producer", "_schemaURL"):
            required.append(field.name)
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def check_event(event: dict[str, Any]) -> None:
    """Raise `jsonschema.ValidationError` or AssertionError where the event is not as specified."""
    assert event["schemaURL"] == base.RunEvent._get_schema()
    _check(event, base.RunEvent)
    # The checker knows these two formats only with further packages.
    assert datetime.fromisoformat(event["eventTime"]).tzinfo is not None
    assert urlsplit(event["producer"]).scheme
    _walk(event)


def _check(value: Any, kind: type) -> None:
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    jsonschema.Draft202012Validator(_object(kind), format_checker=checker).validate(value)


def _walk(value: Any) -> None:
    if isinstance(value, list):
        for item in value:
            _walk(item)
    if not isinstance(value, dict):
        return
    for name, item in value.items():
        if name in _FACETS:
            for key, facet in item.items():
                known = facet_classes()
                assert facet["_schemaURL"] in known, f"{key}: {facet['_schemaURL']}"
                _check(facet, known[facet["_schemaURL"]])
        elif name == "fields":
            from openlineage.client.generated.schema_dataset import SchemaDatasetFacetFields

            for field in item:
                _check(field, SchemaDatasetFacetFields)
        _walk(item)
