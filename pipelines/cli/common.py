"""Arguments and options that verbs share."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from pipelines.config import Config

F = TypeVar("F", bound=Callable[..., Any])

SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

BEAM_ARGS = "pipelines.cli.beam_args"


class BeamCommand(click.Command):
    """A verb that passes everything after `--` on to Beam, unread."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Set what follows `--` aside before click sees it."""
        if "--" in args:
            cut = args.index("--")
            args, rest = args[:cut], args[cut + 1 :]
            ctx.meta[BEAM_ARGS] = tuple(rest)
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """Show in the usage line that Beam's options may follow."""
        return [*super().collect_usage_pieces(ctx), "[-- BEAM OPTIONS]"]


def config_argument(function: F) -> F:
    """The CONFIG argument, first for every verb that has one."""
    return click.argument("config", type=click.Path(path_type=Path))(function)


def common_options(function: F) -> F:
    """`--json`, `--verbose` and `--debug`; logging goes to stderr."""

    @click.option("--json", "as_json", is_flag=True, help="Print one JSON object as the last line.")
    @click.option("-v", "--verbose", count=True, help="Log more, twice for everything.")
    @click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
    @wraps(function)
    def wrapper(*args: Any, verbose: int, debug: bool, **kwargs: Any) -> Any:
        set_up_logging(2 if debug else verbose)
        return function(*args, **kwargs)

    return wrapper  # type: ignore[return-value]


def principal_options(function: F) -> F:
    """`--user` and `--group`: on whose behalf."""
    function = click.option("--user", help="The user who asks.")(function)
    return click.option(
        "--group", "groups", multiple=True, help="A group the user is in; may be repeated."
    )(function)


def open_config(path: Path, *, lake: bool = True) -> Config:
    """The configuration at `path`; with `lake`, once its lake has answered.

    Raises:
        ConfigError: something is wrong with the configuration or with the lake's address.
        TransientError: the lake does not answer.
    """
    from pipelines.config import load_config

    config = load_config(path)
    if lake:
        check_lake(config)
    return config


def check_lake(config: Config, stages: Sequence[str] = (), *, write: bool = False) -> None:
    """See `pipelines.queries.reach.check_lake`; raises MissingExtra without its libraries."""
    from pipelines.cli.failure import with_extra

    with with_extra(stages[0] if stages else None):
        from pipelines.arrow import keep_pandas_out
        from pipelines.queries import reach

        keep_pandas_out()
        # Ingest alone gets along with chunks of any version.
        reach.check_lake(config, write=write, chunks=list(stages) != ["ingest"])


def set_up_logging(verbosity: int) -> None:
    """Send logs to stderr: warnings, or with 1 information, or with 2 everything."""
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbosity, 2)]
    logging.basicConfig(
        stream=sys.stderr, level=level, format="%(levelname)s %(name)s: %(message)s", force=True
    )
    if verbosity == 0:
        for handler in logging.getLogger().handlers:
            handler.addFilter(_worth_showing)


def _worth_showing(record: logging.LogRecord) -> bool:
    # Libraries that log to the root logger speak of their own optional parts, and Beam logs the
    # traceback of an error that it then raises.
    if record.name == "apache_beam.runners.common":
        return False
    return record.name != "root" or record.levelno >= logging.ERROR
