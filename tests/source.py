"""The source tree, for tests that read it instead of running it."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

#: Room -> the rooms whose headers and modules it may use, besides `common`.
ARROWS: dict[str, tuple[str, ...]] = {
    "records": (),
    "validation": ("records",),
    "wire": ("records", "validation"),
    "shared": ("records",),
    "calls": (),
    "lifetime": (),
    "memory": (),
    "compute": (),
}


def need_tree() -> None:
    """Skip a module's tests where only tests/ was copied, to run against an installed wheel."""
    if not (ROOT / "ext").is_dir():
        pytest.skip("needs the source tree", allow_module_level=True)


@functools.cache
def rooms() -> list[str]:
    """Rooms that have a folder in ext/."""
    return sorted(
        path.name for path in (ROOT / "ext").iterdir() if path.is_dir() and path.name != "common"
    )


@functools.cache
def c_files() -> list[Path]:
    return sorted(path for path in (ROOT / "ext").glob("*/*.[ch]"))


@functools.cache
def python_files() -> list[Path]:
    """Every Python file of the project, the tests included."""
    folders = ("python", "tests", "benchmarks")
    files = {path for folder in folders for path in (ROOT / folder).rglob("*.py*")}
    return sorted(path for path in files if path.suffix in (".py", ".pyi")) + [ROOT / "setup.py"]


@functools.cache
def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def at(path: Path, offset: int) -> str:
    """ "ext/records/record.c:12", for messages."""
    return f"{path.relative_to(ROOT)}:{read(path).count(chr(10), 0, offset) + 1}"


_TOKENS = re.compile(
    r'(?P<comment>/\*.*?\*/|//[^\n]*)|(?P<text>"(?:\\.|[^"\\\n])*"|' r"'(?:\\.|[^'\\\n])*')",
    re.DOTALL,
)


@functools.cache
def code(path: Path) -> str:
    """C source with comments and the insides of literals blanked; every offset stays."""

    def blank(match: re.Match[str]) -> str:
        found = match.group()
        if match["comment"]:
            return re.sub(r"[^\n]", " ", found)
        return found[0] + " " * (len(found) - 2) + found[-1]

    return _TOKENS.sub(blank, read(path))


def features(room: str) -> list[str]:
    """The features of a room: headings of its README.md that are one lower-case name."""
    text = read(ROOT / "ext" / room / "README.md")
    return re.findall(r"^## `?([a-z][a-z0-9_]*)`?[ \t]*$", text, re.MULTILINE)
