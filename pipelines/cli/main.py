"""The command line: the verbs, found lazily, and what every outcome exits with.

Nothing heavy is imported here, and a verb's module only when that verb is called.
"""

from __future__ import annotations

import gc
import importlib
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

VERBS: dict[str, str] = {
    "init": "Write a config for a folder or container.",
    "run": "Bring tables and sinks up to date: ingest, transform, load.",
    "ingest": "Read what changed in the sources into the documents table.",
    "transform": "Chunk what changed in the documents table.",
    "load": "Bring the sinks up to the chunk tables.",
    "status": "Say what is in the lake and how far each stage is behind.",
    "explain": "Say which rule of the policy decides about a document, and why.",
    "view": "Show the chunks of a document in colour, side by side.",
    "trace": "Show where a chunk came from and what made it.",
    "impact": "Show what came of a document, as far as the sinks.",
    "search": "Search the chunks that a user or group may read.",
    "export": "Write the current chunks or documents to a file.",
    "verify": "Check the guarantees over everything in the lake.",
    "compare": "Compare chunking strategies: a ranking, a report, MLflow runs.",
    "evidence": "Check questions with evidence against the documents.",
    "rejects": "List the documents that were rejected, or try them again.",
    "compact": "Fold the tables' history, and sweep what nobody needs.",
    "feedback": "Keep what readers thought of what they found, as evidence.",
    "forget": "Erase a document from everything that was made of it.",
    "tune": "Search a better policy, and promote it if proven.",
    "policy": "Show promoted policies, compare two, or go back.",
    "drift": "Compare the newest run's quality with the runs before.",
    "publish": "Send kept run records to MLflow.",
    "serve": "Answer searches over HTTP, trimmed to what each caller may read.",
    "doctor": "Check the installation, and whether a config's stores answer.",
}
"""Verb to its line in the help; each is a module of this package with a `command`."""


class Verbs(click.Group):
    """The `gristmill` command: verbs are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All verbs, in the order in which one meets them."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one verb."""
        return load_verb(cmd_name) if cmd_name in VERBS else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb, or say which one was probably meant."""
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            from chunkers.suggest import nearest

            close = nearest(args[0], VERBS)
            hint = f"; did you mean {close!r}?" if close else "."
            raise click.UsageError(
                f"there is no verb {args[0]!r}{hint} Verbs: {', '.join(VERBS)}.", ctx
            )
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs without importing them."""
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> NoReturn:
        """Run a verb and exit with its code."""
        sys.exit(execute(super().main, args, prog_name or "gristmill", **extra))


def load_verb(name: str) -> click.Command:
    """The command of a verb."""
    command: click.Command = importlib.import_module(f"pipelines.cli.{name}").command
    return command


def execute(main: Any, args: Sequence[str] | None, prog_name: str, **extra: Any) -> int:
    """Call a click command's `main` and turn its outcome into an exit code."""
    arguments = list(sys.argv[1:] if args is None else args)
    try:
        code = main(args=arguments, prog_name=prog_name, standalone_mode=False, **extra)
    except BrokenPipeError:
        # Whoever read our output has seen enough, as with `| head`.
        sys.stderr.close()
        return 1
    except (Exception, KeyboardInterrupt) as error:
        from pipelines.cli.failure import report

        return report(error, arguments)
    return code if isinstance(code, int) else 0


@click.command(
    cls=Verbs,
    subcommand_metavar="VERB CONFIG [ARGUMENTS] [OPTIONS] [-- BEAM OPTIONS]",
    options_metavar="",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="A verb's own help: gristmill VERB --help. Exit codes: 0 done, 1 failed, 2 wrong usage "
    "or configuration, 3 done with rejected documents, 4 deletions held back, "
    "5 stopped at the budget, 6 quality out of line.",
)
@click.version_option(package_name="gristmill", prog_name="gristmill")
def cli() -> None:
    """Turn lakes of documents into retrieval-ready chunks."""


def main() -> NoReturn:
    """Entry point of `gristmill`."""
    _collect_less()
    cli.main()


def _collect_less() -> None:
    """Look for cycles to free less often: imports make many objects and leave few of them."""
    gc.set_threshold(50_000, 20, 50)


def _stage_main(verb: str) -> NoReturn:
    _collect_less()
    sys.exit(execute(load_verb(verb).main, None, f"gristmill-{verb}"))


def ingest_main() -> NoReturn:
    """Entry point of `gristmill-ingest`."""
    _stage_main("ingest")


def transform_main() -> NoReturn:
    """Entry point of `gristmill-transform`."""
    _stage_main("transform")


def load_main() -> NoReturn:
    """Entry point of `gristmill-load`."""
    _stage_main("load")


if __name__ == "__main__":
    main()
