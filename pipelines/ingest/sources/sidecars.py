"""Which ACL file holds for what: `NAME.acl.yaml` for the file beside it, `_acl.yaml` for a folder.

Names are compared as they are but for their Unicode composition, on which file systems disagree,
and suffixes whatever their case: a restriction must not be lost to a capital letter.
"""

from __future__ import annotations

import unicodedata

from lineage.acl import Acl
from pipelines.ingest.sources import acls

_SUFFIXES = (".acl.yaml", ".acl.yml")
_FOLDER_NAMES = ("_acl.yaml", "_acl.yml")


def target_of(name: str) -> str | None:
    """What a file of this name (without its folder) holds the ACL of.

    The name of the file beside it, empty for the folder that it is in; null when it is a document.
    A nameless `.acl.yaml` counts as the folder's, so that it cannot be overlooked.
    """
    lower = name.lower()
    if lower in _FOLDER_NAMES:
        return ""
    suffix = next((s for s in _SUFFIXES if lower.endswith(s)), None)
    return None if suffix is None else name[: -len(suffix)]


class Sidecars:
    """ACLs by the path of what they hold for; a folder's ends with `/`, the root's is empty."""

    def __init__(self) -> None:
        self._acls: dict[str, Acl] = {}
        self._composed: dict[str, Acl] = {}
        self._unseen: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._acls)

    def add(self, target: str, path: str, acl: Acl) -> None:
        """Note that the ACL file at `path` holds `acl` for `target`.

        Two for one target make its ACL unknown: neither may be passed over.
        """
        if target in self._acls:
            acl = acls.unreadable(path, "there are two for the same; keep one")
        composed = unicodedata.normalize("NFC", target)
        self._composed[composed] = (
            acls.unreadable(path, "there are two whose names look the same; keep one")
            if composed in self._composed and target not in self._acls
            else acl
        )
        self._acls[target] = acl
        if target and not target.endswith("/"):
            self._unseen[composed] = path

    def of(self, target: str) -> Acl | None:
        """The ACL that holds for exactly this file or folder, if it has one of its own."""
        if not self._acls:
            return None
        found = self._acls.get(target)
        if found is None and not target.isascii():
            found = self._composed.get(unicodedata.normalize("NFC", target))
        return found

    def seen(self, file: str) -> None:
        """Note that there is a file of this path, taken by the source or not."""
        if self._unseen:
            self._unseen.pop(unicodedata.normalize("NFC", file), None)

    def unseen(self) -> list[str]:
        """The ACL files of files that are not there."""
        return list(self._unseen.values())


def unseen_message(paths: list[str]) -> str:
    """What to tell about ACL files that hold for nothing."""
    names = ", ".join(paths[:3]) + (" …" if len(paths) > 3 else "")
    return (
        f"{len(paths)} ACL files have no file beside them and hold for nothing: {names}; "
        "name one after the whole name of its file (report.docx.acl.yaml for report.docx), or "
        "_acl.yaml for a folder"
    )
