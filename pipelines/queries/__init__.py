"""Questions about a lake, answered as plain values: what the command line's verbs print.

>>> from pipelines.config import load_config
>>> from pipelines.queries.status import status
>>> status(load_config("gristmill.yaml"))["documents"]["current"]  # doctest: +SKIP
33
"""
