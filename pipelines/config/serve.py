"""Reading a config's section `serve`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from urllib.parse import urlsplit

from chunkers.suggest import unknown
from pipelines.config.section import Section
from pipelines.config.settings import ServeConfig
from pipelines.config.yaml_file import YamlFile

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512",
              "EdDSA")  # fmt: skip
"""Those with a public key: with a shared secret, whoever checks a token could make one."""
_EXAMPLE = "serve: {issuer: https://login.microsoftonline.com/TENANT/v2.0, audience: api://docs}"
_LOCAL = ("127.0.0.1", "::1", "localhost")


def read_serve(file: YamlFile, top: Section, sinks: Sequence[str]) -> ServeConfig | None:
    """The section, or null without one; `sinks` are the names of the configured ones."""
    if "serve" not in top:
        return None
    known = [field.name for field in fields(ServeConfig)]
    section = Section(file, ("serve",), top.value["serve"], known, example=_EXAMPLE)
    issuer: str = section.text("issuer", example="https://login.microsoftonline.com/TENANT/v2.0")
    _check_address(section, "issuer", issuer)
    jwks_uri: str | None = section.text("jwks_uri", None, example="https://…/keys")
    if jwks_uri is not None:
        _check_address(section, "jwks_uri", jwks_uri)
    algorithms = section.texts("algorithms", ("RS256",), example="[RS256]")
    for algorithm in algorithms:
        if algorithm not in ALGORITHMS:
            raise section.error("algorithms", unknown("algorithm", algorithm, ALGORITHMS))
    missing: str = section.text("missing_groups", "refuse", example="refuse")
    if missing not in ("refuse", "none"):
        raise section.error("missing_groups", f"must be `refuse` or `none`, not {missing!r}")
    sink: str | None = section.text("sink", None, example="index")
    if sink is not None and sink not in sinks:
        raise section.error("sink", unknown("sink", sink, sinks))

    def whole(key: str, default: int, low: int, high: int) -> int:
        number: int = section.number(
            key, default, example=str(default), low=low, high=high, whole=True
        )
        return number

    return ServeConfig(
        issuer=issuer,
        audience=section.text("audience", example="api://docs"),
        jwks_uri=jwks_uri,
        algorithms=algorithms or ("RS256",),
        user_claim=section.text("user_claim", "oid", example="oid"),
        groups_claim=section.text("groups_claim", "groups", example="groups"),
        missing_groups=missing,
        sink=sink,
        host=section.text("host", "127.0.0.1", example="0.0.0.0"),
        port=whole("port", 8080, 0, 65_535),
        max_limit=whole("max_limit", 50, 1, 1_000),
        max_query_chars=whole("max_query_chars", 2_000, 1, 100_000),
        max_body_bytes=whole("max_body_bytes", 64 << 10, 1_024, 16 << 20),
        requests_per_minute=whole("requests_per_minute", 120, 1, 1_000_000),
    )


def _check_address(section: Section, key: str, address: str) -> None:
    parts = urlsplit(address)
    local = parts.scheme == "http" and parts.hostname in _LOCAL
    if not (local or (parts.scheme == "https" and parts.hostname)):
        raise section.error(
            key, f"{address!r} must begin with https://, or tokens could be forged on the way"
        )
