"""Running the API in a server process."""

from __future__ import annotations

import socket
import sys
from collections.abc import Sequence

import click
import uvicorn

from lineage import ConfigError, Principal
from pipelines.cli.output import emit_json
from pipelines.config import Config, ServeConfig
from pipelines.serve.app import create_app
from pipelines.serve.tokens import Authenticator, LocalToken, OidcTokens

_CONNECTIONS = 200
_KEEP_ALIVE_SECONDS = 15
_STOP_SECONDS = 10


def serve(
    config: Config,
    settings: ServeConfig,
    local: tuple[str | None, Sequence[str]] | None,
    *,
    as_json: bool = False,
) -> None:
    """Answer requests until the process is told to stop.

    Args:
        config: the pipeline.
        settings: where to listen, and whom to believe.
        local: user and groups of the one principal to serve, instead of an issuer's.
        as_json: say where it listens as a JSON object.

    Raises:
        ConfigError: the address cannot be listened at, or no sink can be searched.
    """
    authenticator: Authenticator = OidcTokens(settings)
    token = None
    if local is not None:
        authenticator = LocalToken(Principal(local[0], frozenset(local[1])))
        token = authenticator.token
    app = create_app(config, settings, authenticator)
    listening = _listen(settings)
    host, port = listening.getsockname()[:2]
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    _announce(address, settings, token, as_json=as_json)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=_CONNECTIONS,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=_STOP_SECONDS,
        )
    )
    try:
        server.run(sockets=[listening])
    finally:
        listening.close()


def _listen(settings: ServeConfig) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    opened = socket.socket(family)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        opened.bind((settings.host, settings.port))
        # What connects from now on waits for the server instead of being refused.
        opened.listen(_CONNECTIONS)
    except OSError as error:
        opened.close()
        raise ConfigError(
            f"cannot listen at {settings.host}:{settings.port}: {error.strerror}; choose another "
            "with --host and --port"
        ) from error
    return opened


def _announce(address: str, settings: ServeConfig, token: str | None, *, as_json: bool) -> None:
    if as_json:
        emit_json({"address": address, "token": token})
    else:
        click.echo(f"Listening at {address}; the API is described at {address}/docs")
        if token:
            click.echo(f"Token: {token}")
        else:
            click.echo(f"Tokens of {settings.issuer} for {settings.audience}")
    sys.stdout.flush()
