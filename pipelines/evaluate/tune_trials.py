"""The SQLite file in which trials are kept: whether it can be used, and what to do if not."""

from __future__ import annotations

import sqlite3
import time
import uuid
from contextlib import closing
from pathlib import Path


def what_is_wrong(path: Path) -> str | None:
    """Why a file is no database that can be read; null when it is one, or is not there yet."""
    if not path.exists():
        return None
    try:
        with closing(sqlite3.connect(path)) as database:
            (found,) = database.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError:
        # Locked, or not to be opened: that says nothing about what is in it.
        return None
    except sqlite3.DatabaseError as error:
        return str(error)
    return None if found == "ok" else str(found).replace("\n", " ")


def set_aside(path: Path) -> str | None:
    """Rename a file that is no database any more, so that trials begin anew.

    Returns:
        What was found and done, for people; null when nothing was wrong.
    """
    why = what_is_wrong(path)
    if why is None:
        return None
    now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    mark = f".broken-{now}-{uuid.uuid4().hex[:6]}"
    aside = path.with_name(path.name + mark)
    path.rename(aside)
    for ending in ("-journal", "-wal", "-shm"):
        # They would be applied to the new file.
        beside = path.with_name(path.name + ending)
        if beside.exists():
            beside.rename(path.with_name(path.name + mark + ending))
    return f"{path} cannot be read ({why}): trials begin anew, and the file is kept as {aside.name}"
