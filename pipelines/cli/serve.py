"""`gristmill serve`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from pipelines.cli.common import SETTINGS, common_options, config_argument

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@click.command("serve", context_settings=SETTINGS)
@config_argument
@click.option("--host", help="The address to listen at [default: serve.host, else 127.0.0.1].")
@click.option("--port", type=click.IntRange(0, 65535), help="[default: serve.port, else 8080].")
@click.option("--local-user", metavar="NAME", help="Serve this user alone, on this machine.")
@click.option(
    "--local-group", "local_groups", multiple=True, metavar="NAME",
    help="A group that the local user is in; may be repeated.",
)  # fmt: skip
@common_options
def command(
    config: Path,
    host: str | None,
    port: int | None,
    local_user: str | None,
    local_groups: tuple[str, ...],
    as_json: bool,
) -> int:
    """Answer searches over HTTP, each caller's trimmed to what they may read.

    Callers are known by tokens of the issuer in `serve` of the config. To try it without one,
    --local-user serves one principal on this machine only, by a token that is printed at start.
    """
    from lineage import ConfigError
    from pipelines.cli.failure import with_extra
    from pipelines.config import ServeConfig, load_config

    loaded = load_config(config)
    local = local_user is not None or bool(local_groups)
    settings = loaded.serve or ServeConfig()
    settings = replace(
        settings,
        host=settings.host if host is None else host,
        port=settings.port if port is None else port,
    )
    if local and settings.host not in _LOOPBACK:
        raise ConfigError(
            f"--local-user is for this machine only, and {settings.host!r} is an address that "
            "others may reach; take --local-user out and configure `serve.issuer`, or listen at "
            "127.0.0.1"
        )
    if not local and loaded.serve is None:
        raise ConfigError(
            f"{loaded.path}: has no `serve`, so it is not known whose tokens count. Add for "
            "example `serve: {issuer: https://login.microsoftonline.com/TENANT/v2.0, audience: "
            "api://docs}`, or try it with --local-user NAME --local-group NAME"
        )
    with with_extra("serve"):
        from pipelines.serve.server import serve

        serve(loaded, settings, (local_user, local_groups) if local else None, as_json=as_json)
    return 0
