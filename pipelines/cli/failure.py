"""How a command that went wrong ends: one message, one exit code, a traceback only on request."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import click
from click.exceptions import NoArgsIsHelpError

from lineage.errors import ConfigError, GristmillError, MissingExtra
from pipelines.cli.output import printable

INTERRUPTED = 130
FAILED = 1
WRONG_USAGE = 2
_LONGEST = 4000

_EXTRAS = {
    "apache_beam": "stage",
    "deltalake": "stage",
    "charset_normalizer": "ingest",
    "lxml": "ingest",
    "olefile": "ingest",
    "py3langid": "ingest",
    "selectolax": "ingest",
    "pypdfium2": "ingest",
    "python_calamine": "ingest",
    "mlflow": "transform",
    "sqlalchemy": "transform",
    "alembic": "transform",
    "lancedb": "load",
    "fastapi": "serve",
    "uvicorn": "serve",
    "jwt": "serve",
    "bm25s": "evaluate",
    "matplotlib": "evaluate",
    "optuna": "evaluate",
    "azure": "azure",
    "openai": "azure-openai",
    "fastembed": "embeddings",
    "openlineage": "openlineage",
    "unstructured": "unstructured",
}
"""Import name to the extra that installs it."""


def missing_extra(error: ModuleNotFoundError, stage: str | None = None) -> MissingExtra | None:
    """What to install for a failed import, or null when the module is none of an extra's."""
    root = (error.name or "").partition(".")[0]
    extra = _EXTRAS.get(root)
    if extra is None:
        return None
    # The tables' library is part of every stage's extra: name the stage's own.
    extra = stage if extra == "stage" and stage else extra
    extra = "all" if extra == "stage" else extra
    what = f"the {stage} stage" if stage else "this command"
    return MissingExtra(
        f"{what} needs {root!r}, which is not installed. Install it with: "
        f"pip install 'gristmill[{extra}]'"
    )


@contextmanager
def with_extra(stage: str | None = None) -> Iterator[None]:
    """Turn the lack of a library into `MissingExtra`, naming the extra of `stage` if given."""
    try:
        yield
    except ModuleNotFoundError as error:
        missing = missing_extra(error, stage)
        if missing is None:
            raise
        raise missing from error


def exit_code(error: BaseException) -> int:
    """What a command that ended in `error` exits with."""
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return INTERRUPTED
    if isinstance(error, click.ClickException):
        return error.exit_code
    return WRONG_USAGE if isinstance(error, ConfigError) else FAILED


def report(error: BaseException, arguments: Sequence[str]) -> int:
    """Tell what went wrong on stderr, and with `--json` also on stdout; returns the exit code."""
    own = list(arguments)
    own = own[: own.index("--")] if "--" in own else own
    if isinstance(error, ModuleNotFoundError):
        error = missing_extra(error) or error
    code = exit_code(error)
    message = printable(_message(error))
    if "--debug" in own and not isinstance(error, click.ClickException):
        traceback.print_exception(error, file=sys.stderr)
    click.echo(message, err=True)
    if "--json" in own:
        value = {
            "type": type(error).__name__,
            "message": message.removeprefix("Error: "),
            "exit_code": code,
        }
        click.echo(json.dumps({"error": value}))
    return code


def _message(error: BaseException) -> str:
    from pipelines.object_store import readable

    if isinstance(error, KeyboardInterrupt | click.Abort):
        return "Interrupted. What was committed stays; run the same command again to go on."
    if isinstance(error, NoArgsIsHelpError):
        return error.format_message()
    if isinstance(error, click.UsageError) and error.ctx is not None:
        return f"{error.ctx.get_usage()}\nError: {error.format_message()}"
    if isinstance(error, click.ClickException):
        return f"Error: {error.format_message()}"
    text = readable(error) if isinstance(error, OSError) else str(error).strip()
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]}… ({len(text)} characters; --debug shows all)"
    if isinstance(error, GristmillError):
        return f"Error: {text}"
    if isinstance(error, OSError):
        return (
            f"Error: {type(error).__name__}: {text}\nCheck that what it names is there, its "
            "rights, the network and the credentials; --debug shows where it happened."
        )
    where = traceback.extract_tb(error.__traceback__)[-1:] if error.__traceback__ else []
    place = "".join(f" in {frame.name}, {frame.filename}:{frame.lineno}" for frame in where)
    return (
        f"Unexpected {type(error).__name__}{place}: {text or 'no message'}\n"
        "This is a fault in gristmill or in the environment, not in your input. Run the command "
        "again with --debug for the full traceback."
    )
