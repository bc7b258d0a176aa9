"""Rules of CONTRIBUTING.md that reading the text can check."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import source
from source import ROOT, at, c_files, code, python_files, read

source.need_tree()

LINES = 900


def found(pattern: str, paths: list[Path], *, comments: bool = False) -> list[str]:
    """ "file:line: text" of every match, in C outside comments and literals unless told."""
    wrong = []
    for path in paths:
        text = read(path) if comments or path.suffix not in (".c", ".h") else code(path)
        for match in re.finditer(pattern, text, re.MULTILINE):
            wrong.append(f"{at(path, match.start())}: {match.group().strip()}")
    return wrong


def test_licence_line() -> None:
    line = re.compile(r"/\* SPDX-License-Identifier: MIT(?: \*/)?$")
    assert [path.name for path in c_files() if not line.match(read(path).partition("\n")[0])] == []


def test_file_length() -> None:
    long = {path.name: count for path in c_files() if (count := read(path).count("\n")) > LINES}
    assert long == {}


def test_macros_do_not_jump() -> None:
    jumps = []
    for path in c_files():
        for match in re.finditer(r"^[ \t]*#[ \t]*define(?:\\\n|[^\n])*", code(path), re.MULTILINE):
            if re.search(r"\b(?:return|goto)\b", match.group()):
                jumps.append(at(path, match.start()))
    assert jumps == [], "a macro hides return or goto"


def test_no_global_objects() -> None:
    objects = r"^(?:static )?(?:Py\w*Object|PyObject) ?\*+ ?(?:const )?\w+(?:\[\w*\])? ?(?:=[^=]|;)"
    types = r"^(?:static )?PyTypeObject \w+"
    locals_ = r"^[ \t]+static (?!const\b|inline\b|char \*\w+\[\])[\w ]+[ *]\w+(?:\[\w*\])* ?(?:=|;)"
    assert found(f"{objects}|{types}|{locals_}", c_files()) == []


TABLES = {
    "PyMethodDef": r"\{(?:NULL|0|\.ml_name = NULL)\b[^{}]*\}",
    "PyMemberDef": r"\{(?:NULL|0|\.name = NULL)\b[^{}]*\}",
    "PyGetSetDef": r"\{(?:NULL|0|\.name = NULL)\b[^{}]*\}",
    "PyType_Slot": r"\{0, NULL\}|\{0\}",
    "PyModuleDef_Slot": r"\{0, NULL\}|\{0\}|FE_MODULE_SLOTS\(\w+\)",
}


def tables() -> Iterator[tuple[str, str, str]]:
    """Place, type and initialiser of every table that CPython reads up to a sentinel."""
    head = re.compile(rf"\b({'|'.join(TABLES)}) \w+\[\w*\] ?=\s*")
    for path in c_files():
        for match in head.finditer(code(path)):
            end = code(path).index(";", match.end())
            yield at(path, match.start()), match[1], code(path)[match.end() : end]


def test_tables_end_in_a_sentinel() -> None:
    wrong = [
        place
        for place, kind, body in tables()
        if not re.search(rf"(?:{TABLES[kind]}),?\s*\}}?\s*$", body)
    ]
    assert wrong == []


def test_errors_are_dropped_with_a_reason() -> None:
    wrong = []
    for path in c_files():
        lines = read(path).split("\n")
        for number, line in enumerate(code(path).split("\n")):
            near = "\n".join(lines[max(0, number - 1) : number + 1])
            if "PyErr_Clear(" in line and not re.search(r"/\*|\*/", near):
                wrong.append(f"{path.relative_to(ROOT)}:{number + 1}")
    assert wrong == [], "PyErr_Clear without a comment that names the expected exception"


def test_private_api_stays_off() -> None:
    assert found(r"\bPy_BUILD_CORE\w*|#[ \t]*include[ \t]+[<\"]internal/", c_files()) == []


def test_nothing_is_left_to_do() -> None:
    paths = [path for path in (*c_files(), *python_files()) if path != Path(__file__)]
    assert found(r"\b(?:TODO|FIXME|XXX)\b", paths, comments=True) == []


def text_files() -> list[Path]:
    suffixes = {".c", ".h", ".py", ".pyi", ".md", ".toml", ".in", ".json", ".csv", ".html", ""}
    folders = ("ext", "python", "tests", "benchmarks", ".ci")
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*")]
    paths += ROOT.glob("*.*")

    def ours(path: Path) -> bool:
        inside = path.relative_to(ROOT).parts[1:]
        hidden = any(part.startswith((".", "__pycache__")) for part in inside)
        hidden |= path == ROOT / "report.html"  # what the README's first command writes
        return path.is_file() and path.suffix in suffixes and not hidden

    return sorted(filter(ours, paths))


def test_no_paths_of_one_machine() -> None:
    pattern = r"(?:^|[^\w.])/(?:work|root|farm|home/\w+|Users/\w+)/|(?<![\w$}])/tmp/[a-z]"
    paths = [path for path in text_files() if path != Path(__file__)]
    assert found(pattern, paths, comments=True) == []


def test_plain_text() -> None:
    wrong = []
    for path in text_files():
        text = read(path)
        for number, line in enumerate(text.split("\n"), 1):
            if "\r" in line or line != line.rstrip():
                wrong.append(f"{path.relative_to(ROOT)}:{number}: space or return at the end")
        if text and not text.endswith("\n"):
            wrong.append(f"{path.relative_to(ROOT)}: no newline at the end")
    assert wrong == []
