"""Which keys a source takes: `include` and `exclude`."""

from __future__ import annotations

from dataclasses import dataclass

from chunkers.globs import glob_matches

EVERYTHING = ("**/*",)


@dataclass(frozen=True, slots=True)
class Globs:
    """Keys that match one of `include` and none of `exclude`.

    Patterns are those of the chunking policy's `path`. A part of a path that begins with a dot
    (`.git`, `.DS_Store`) is only taken when the pattern that includes it has a part that begins
    with a dot and matches it, such as `.github/**` or `**/.env`.
    """

    include: tuple[str, ...] = EVERYTHING
    exclude: tuple[str, ...] = ()
    apart: tuple[str, ...] = ()
    """Keys of files and folders that are never taken, nor anything below them."""

    def match(self, key: str) -> bool:
        """Whether `key` is taken."""
        if key[:1] == "." or "/." in key:
            hidden = [part for part in key.split("/") if part[:1] == "."]
            included = any(
                glob_matches(pattern, key) and all(_names(pattern, part) for part in hidden)
                for pattern in self.include
            )
        else:
            included = self.include == EVERYTHING or any(
                glob_matches(pattern, key) for pattern in self.include
            )
        return included and not self.excluded(key)

    def excluded(self, key: str) -> bool:
        """Whether an exclude pattern matches `key`, or it is kept apart."""
        return self._is_apart(key) or any(glob_matches(pattern, key) for pattern in self.exclude)

    def enters(self, folder: str) -> bool:
        """Whether something below the folder with this key could be taken."""
        if self._is_apart(folder):
            return False
        name = folder.rpartition("/")[2]
        if name[:1] == "." and not any(_names(pattern, name) for pattern in self.include):
            return False
        whole = (p for p in self.exclude if p.endswith(("/**", "/**/*")))
        return not any(glob_matches(pattern, f"{folder}/-") for pattern in whole)

    def _is_apart(self, key: str) -> bool:
        return any(key == one or key.startswith(f"{one}/") for one in self.apart)


def _names(pattern: str, part: str) -> bool:
    return any(
        named[:1] == "." and glob_matches(named, part)
        for named in pattern.removeprefix("./").split("/")
    )
