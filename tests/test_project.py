"""Rules about the project as a whole: imports, licence, lock file, links, nothing of a machine."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

# Written in two parts, so that this file does not hold what it looks for.
FORBIDDEN = [
    re.compile(pattern)
    for pattern in (
        r"/(?:wo" r"rk|ho" r"me)/[a-z]+/",
        r"/ro" r"ot/",
        r"py" r"pi\.org",
        r"python" r"hosted\.org",
        r"registry\.np" r"mjs",
        r"maven\.ap" r"ache\.org",
        r"repo1?\.ma" r"ven",
        r"proxy\.go" r"lang",
        r"deb\.deb" r"ian\.org",
    )
]  # fmt: skip


def tracked() -> list[Path]:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout, so there is no list of the project's files")
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True
    )
    return [path for name in listing.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def text_of(path: Path) -> str | None:
    data = path.read_bytes()
    return None if b"\0" in data[:8000] else data.decode("utf-8", "replace")


def test_imports_run_one_way() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "2 kept, 0 broken" in result.stdout


def test_chunkers_and_lineage_import_without_the_heavy_libraries() -> None:
    heavy = ["apache_beam", "azure", "deltalake", "lancedb", "mlflow", "pandas", "unstructured"]
    code = (
        f"import sys; import chunkers, lineage; print([m for m in {heavy!r} if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (result.stdout.strip(), result.stderr) == ("[]", "")


def test_licence() -> None:
    licence = (ROOT / "LICENSE").read_text()
    assert "Apache License" in licence
    assert "Version 2.0, January 2004" in licence
    assert "END OF TERMS AND CONDITIONS" in licence
    assert PROJECT["license"] == "Apache-2.0"


def test_no_paths_of_a_machine_and_no_registries() -> None:
    found = []
    for path in tracked():
        text = text_of(path)
        for n, line in enumerate((text or "").splitlines(), 1):
            found += [
                f"{path.relative_to(ROOT)}:{n}: {line.strip()[:100]}"
                for pattern in FORBIDDEN
                if pattern.search(line)
            ]
    assert found == []


def test_tracked_files_are_small() -> None:
    assert [p.name for p in tracked() if p.stat().st_size > 2 * 1024 * 1024] == []


def locked() -> dict[str, set[Version]]:
    """Name to versions; a name has several where they depend on the Python or the system."""
    pins: dict[str, set[Version]] = {}
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        name, _, rest = line.partition("==")
        assert rest, f"not a pin: {line!r}"
        pins.setdefault(normal(name), set()).add(Version(rest.partition(";")[0].strip()))
    return pins


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared() -> list[str]:
    extras = PROJECT["optional-dependencies"].values()
    lines = [*PROJECT["dependencies"], *(line for extra in extras for line in extra)]
    return sorted({line for line in lines if normal(Requirement(line).name) != "gristmill"})


@pytest.mark.parametrize("line", declared())
def test_lock_file_holds_a_tested_version_of_every_dependency(line: str) -> None:
    requirement = Requirement(line)
    versions = locked().get(normal(requirement.name), set())
    assert versions, f"{requirement.name} is not in requirements.lock; run `make lock`"
    outside = [str(v) for v in versions if v not in requirement.specifier]
    assert outside == [], f"{line}: locked {outside}; run `make lock`"


def test_lock_file_has_no_addresses() -> None:
    text = (ROOT / "requirements.lock").read_text()
    assert "://" not in text
    assert " @ " not in text
    assert not any(line.startswith("-") for line in text.splitlines())


def markdown() -> list[Path]:
    return [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted(
        [*ROOT.glob("docs/**/*.md"), *ROOT.glob("deploy/**/*.md")]
    )


def anchors(text: str) -> set[str]:
    """The names under which a Markdown page's headings can be linked to."""
    titles = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("path", markdown(), ids=lambda p: str(p.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(path: Path) -> None:
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        if not target.exists() or (
            anchor and target.suffix == ".md" and anchor not in anchors(target.read_text())
        ):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("recipe", sorted(path.name for path in ROOT.glob("deploy/*.Dockerfile")))
def test_container_recipes_install_extras_that_there_are(recipe: str) -> None:
    text = (ROOT / "deploy" / recipe).read_text()
    found = re.search(r"ARG EXTRAS=(\S+)|'\.\[([\w,-]+)\]'", text)
    assert found is not None
    extras = set((found[1] or found[2]).split(","))
    assert extras <= set(PROJECT["optional-dependencies"])
    assert recipe.removesuffix(".Dockerfile") in extras
    for folder in ("lineage", "chunkers", "pipelines"):
        assert f"COPY {folder} {folder}" in text
    assert "USER 10001" in text
