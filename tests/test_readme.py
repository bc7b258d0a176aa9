"""The README and docs/ run as written, print what they say, and name what there is."""

from __future__ import annotations

import contextlib
import inspect
import io
import re
import subprocess
import sys
import tokenize
import tomllib
import types
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import source
from ferrule import records
from source import ROOT, read

source.need_tree()

README = ROOT / "README.md"
#: Pages whose Python blocks are run; what a block imports must be installed, or it is skipped.
PAGES = (
    README,
    ROOT / "docs" / "arrays.md",
    ROOT / "docs" / "cleanup.md",
    ROOT / "docs" / "measure.md",
    ROOT / "docs" / "wrappers.md",
    ROOT / "docs" / "validation.md",
    ROOT / "docs" / "wire.md",
)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`[^`\n]+`")
MARK = "# -> "


@dataclass
class Group:
    """The Python blocks under one heading of the second level; they share a namespace."""

    page: Path
    title: str
    blocks: list[tuple[int, str]] = field(default_factory=list)  # first line in the file, code


def groups(page: Path = README) -> list[Group]:
    text = read(page)
    found = [Group(page, "top")]
    for match in re.finditer(rf"^## ([^\n]+)$|{FENCE.pattern}", text, re.MULTILINE | re.DOTALL):
        title, language, code = match.groups()
        if title is not None:
            found.append(Group(page, title))
        elif language == "python":
            line = text.count("\n", 0, match.start(3)) + 1
            found[-1].blocks.append((line, code))
    return [group for group in found if group.blocks]


def promised(code: str) -> list[str]:
    """The lines of output that comments `# -> …` promise, in order."""
    tokens = tokenize.generate_tokens(io.StringIO(code).readline)
    comments = (token.string for token in tokens if token.type == tokenize.COMMENT)
    return [text.removeprefix(MARK) for text in comments if text.startswith(MARK)]


def libraries(group: Group) -> set[str]:
    """What the blocks import that neither Python nor ferrule brings."""
    names = {
        name
        for _, code in group.blocks
        for name in re.findall(r"^import (\w+)", code, re.MULTILINE)
    }
    return names - sys.stdlib_module_names


@pytest.mark.parametrize(
    "group",
    [group for page in PAGES for group in groups(page)],
    ids=lambda group: f"{group.page.stem}: {group.title}",
)
def test_examples(group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in sorted(libraries(group)):
        pytest.importorskip(name)
    module = types.ModuleType("readme_example")
    monkeypatch.setitem(sys.modules, module.__name__, module)  # classes look their module up
    try:
        for line, code in group.blocks:
            printed = io.StringIO()
            # blank lines in front: a traceback shows the line of the page
            compiled = compile("\n" * (line - 1) + code, group.page, "exec", dont_inherit=True)
            with contextlib.redirect_stdout(printed):
                exec(compiled, vars(module))
            assert printed.getvalue().splitlines() == promised(code), f"{group.page.name}:{line}"
    finally:
        vars(module).clear()  # records without a collector header keep their class alive


def test_there_are_examples() -> None:
    for page in PAGES:
        assert len(groups(page)) >= 3
        assert all(promised(code) for group in groups(page) for _, code in group.blocks)


def test_first_example_is_short() -> None:
    _, code = groups()[0].blocks[0]
    lines = [line for line in code.splitlines() if line.strip() and not line.startswith("#")]
    assert len(lines) <= 15


# ------------------------------------------------------------------------------------- commands


def test_command_is_marked() -> None:
    """As `.ci/run` reads it: between two marks, one command."""
    inside = re.findall(
        r"^<!-- test-command -->\n(.*?)^<!-- /test-command -->$",
        read(README),
        re.MULTILINE | re.DOTALL,
    )
    assert len(inside) == 1
    (command,) = (line for line in inside[0].splitlines() if not line.startswith("```"))
    assert command.endswith("python -m pytest")


def commands() -> list[str]:
    """Lines of the blocks that name no language."""
    return [
        line
        for match in FENCE.finditer(read(README))
        if not match[1]
        for line in match[2].splitlines()
    ]


def test_commands_name_extras_and_rooms() -> None:
    with open(ROOT / "pyproject.toml", "rb") as file:
        project = tomllib.load(file)["project"]
    lists = [found for line in commands() for found in re.findall(r'"\.\[([\w,]+)\]"', line)]
    assert sorted(lists) == ["compare", "test,interop"]
    extras = [name for found in lists for name in found.split(",")]
    assert set(extras) <= set(project["optional-dependencies"])
    (room,) = (name for line in commands() for name in re.findall(r"ferrule compare (\w+)", line))
    assert room in source.rooms()


def test_compare_has_the_options() -> None:
    named = set(re.findall(r"--[a-z]+", read(README)))
    done = subprocess.run(
        [sys.executable, "-m", "ferrule", "compare", "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert named - set(re.findall(r"--[a-z]+", done.stdout)) == set()


def test_measured_span_is_marked() -> None:
    for room in source.rooms():
        span = rf"^<!-- bench:{room} -->\n.*?^<!-- /bench -->$"
        assert re.search(span, read(README), re.MULTILINE | re.DOTALL), room


# --------------------------------------------------------------------------- names and pictures


def rows(heading: str) -> list[str]:
    """First cells of the table whose first heading it is."""
    table = re.search(
        rf"^\| {heading} \|.*\n\|[-| :]+\|\n((?:\|.*\n)+)", read(README), re.MULTILINE
    )
    assert table is not None, heading
    return [line.split("|")[1].strip() for line in table[1].splitlines()]


def test_every_class_keyword_is_explained() -> None:
    options = set(inspect.signature(records.record).parameters) - {"cls", "slots", "weakref_slot"}
    assert {cell.strip("`") for cell in rows("keyword")} == options


def test_every_name_is_mentioned() -> None:
    mentioned = set(re.findall(r"\w+", " ".join(INLINE.findall(FENCE.sub("", read(README))))))
    assert set(records.__all__) - mentioned == set()


def test_storage_annotations_have_rows() -> None:
    kinds = " ".join(rows("annotation"))
    storage = [name for name in records.__all__ if re.fullmatch(r"[iuf]\d+|bool8|Size", name)]
    assert len(storage) == 12
    assert [name for name in storage if not re.search(rf"\b{name}\b", kinds)] == []


def prose(path: Path) -> str:
    """The text without its code; a link's own text may be code and is dropped too."""
    return INLINE.sub("", FENCE.sub("", read(path)))


def links() -> Iterator[tuple[Path, str]]:
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("ext/**/README.md")):
        for target in re.findall(r"\]\(([^)\s]+)\)", prose(path)):
            if not re.match(r"https?:|mailto:", target):
                yield path, target


def heading_id(text: str) -> str:
    return re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")


def test_links_lead_somewhere() -> None:
    wrong = []
    for path, target in links():
        name, _, fragment = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        good = file.exists()
        if good and fragment:
            headings = re.findall(r"^#+ (.+)$", FENCE.sub("", read(file)), re.MULTILINE)
            good = fragment in map(heading_id, headings)
        if not good:
            wrong.append(f"{path.relative_to(ROOT)}: {target}")
    assert wrong == []
