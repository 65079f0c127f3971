"""The error taxonomy: every message says what was wrong, where, and what to do."""

from __future__ import annotations


class GristmillError(Exception):
    """Base of all errors that Gristmill raises on purpose."""


class TerminalError(GristmillError):
    """Trying again changes nothing until the input or the configuration does."""


class TransientError(GristmillError):
    """Trying again later may succeed."""


class ConfigError(TerminalError):
    """Wrong usage or configuration; ends a command with exit code 2."""


class SchemaVersionError(TerminalError):
    """A table was written by a newer major version of the schema."""


class CommitConflict(TransientError):
    """Another writer committed to the table first; nothing of ours became visible."""


class MissingExtra(TerminalError):
    """An optional part is not installed; the message names the extra to install."""
