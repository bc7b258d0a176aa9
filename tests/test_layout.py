"""Rooms are complete, features have one name everywhere, and nothing crosses a wall unseen."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import source
from source import ARROWS, ROOT, at, code, features, read, rooms

source.need_tree()

#: Modules that may use any room, lazily or not.
FREE = ("plugins", "resources", "streams", "aio", "examples", "cli", "__init__", "__main__")
#: Further public faces of a room's extension module.
FACES = {"models": "validation"}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+["<]([^">]+)[">]', re.MULTILINE)


def test_setup_builds_every_room() -> None:
    assert (
        re.findall(r'^    "(\w+)": \("common", "\1"', read(ROOT / "setup.py"), re.MULTILINE)
        == rooms()
    )


def test_every_room_has_its_arrows() -> None:
    assert set(rooms()) <= set(ARROWS)


@pytest.mark.parametrize("room", rooms())
def test_room_is_complete(room: str) -> None:
    wanted = [
        f"ext/{room}/README.md",
        f"ext/{room}/{room}_module.c",
        f"ext/{room}/{room}_state.h",
        f"python/ferrule/_{room}.pyi",
        f"tests/{room}",
        f"benchmarks/{room}",
    ]
    for module in (f"python/ferrule/{room}", f"python/ferrule/pure/{room}"):
        package = (ROOT / module / "__init__.py").exists()
        wanted.append(f"{module}/__init__.py" if package else f"{module}.py")
    assert [name for name in wanted if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("room", rooms())
def test_feature_has_one_name_everywhere(room: str) -> None:
    names = features(room)
    assert names, f"ext/{room}/README.md has no heading that names a feature"
    wanted = [
        path
        for name in names
        for path in (
            f"ext/{room}/{name}.c",
            f"tests/{room}/test_{name}.py",
            f"benchmarks/{room}/bench_{name}.py",
        )
    ]
    assert [path for path in wanted if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("room", rooms())
def test_files_belong_to_a_feature(room: str) -> None:
    prefixes = (*features(room), room)
    for folder, start in ((f"ext/{room}", ""), (f"benchmarks/{room}", "bench_")):
        for path in sorted((ROOT / folder).glob(f"{start}*.[chp]*")):
            name = path.stem.removeprefix(start).removesuffix("_core")
            belongs = any(name == prefix or name.startswith(f"{prefix}_") for prefix in prefixes)
            assert belongs, (
                f"{path.relative_to(ROOT)}: no feature of that name in ext/{room}/README.md"
            )


def test_include_arrows() -> None:
    home = {path.name: path.parent.name for path in source.c_files() if path.suffix == ".h"}
    wrong = []
    for path in source.c_files():
        room = path.parent.name
        allowed = () if room == "common" else ("common", room, *ARROWS[room])
        for match in INCLUDE.finditer(read(path)):
            name = match[1].rpartition("/")[2]
            if name.endswith(".c"):
                wrong.append(f"{at(path, match.start())}: includes the source file {name}")
            elif home.get(name, "common") not in (*allowed, "common"):
                wrong.append(f"{at(path, match.start())}: {room} may not include {name}")
    assert wrong == []


def test_core_files_know_no_python() -> None:
    for path in source.c_files():
        if path.stem.endswith("_core"):
            names = INCLUDE.findall(read(path))
            assert not {"Python.h", "compat.h"} & set(names), path.relative_to(ROOT)


def test_headers_have_unique_names() -> None:
    names = [path.name for path in source.c_files() if path.suffix == ".h"]
    assert sorted(set(names)) == sorted(names)


def test_one_file_knows_python_versions() -> None:
    wrong = []
    for path in source.c_files():
        if path.name != "compat.h":
            found = re.finditer(r"\bPY_(?:VERSION_HEX|MINOR_VERSION)\b|\b_Py\w+", code(path))
            wrong += [f"{at(path, match.start())}: {match.group()}" for match in found]
    assert wrong == []


def imported(path: Path) -> Iterator[tuple[str, int]]:
    """Names of ferrule modules that a module imports, anywhere in it."""
    package = path.relative_to(ROOT / "python").with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(read(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, (base, node.module)))
            yield module, node.lineno
            if module in ("ferrule", "ferrule.pure"):
                for alias in node.names:
                    yield f"{module}.{alias.name}", node.lineno


def room_of(module: str) -> str | None:
    """The room a dotted name leads to: "ferrule._records" and "ferrule.records" to records."""
    parts = module.split(".")
    if parts[0] != "ferrule" or len(parts) < 2:
        return None
    name = parts[2] if parts[1] == "pure" and len(parts) > 2 else parts[1]
    name = name.removeprefix("_")
    name = FACES.get(name, name)
    return name if name in ARROWS else None


def test_import_arrows() -> None:
    wrong = []
    base = ROOT / "python" / "ferrule"
    for path in sorted(base.rglob("*.py")):
        parts = path.relative_to(base).with_suffix("").parts
        pure = parts[0] == "pure"
        own = room_of(".".join(("ferrule", *parts)))
        for module, line in imported(path):
            where = f"{path.relative_to(ROOT)}:{line}: imports {module}"
            room = room_of(module)
            if pure and module.startswith("ferrule.") and not module.startswith("ferrule.pure"):
                wrong.append(f"{where}: the twins import nothing native")
            elif not pure and parts[0] != "cli" and module.startswith("ferrule.pure"):
                wrong.append(f"{where}: the twins are imported by name only")
            elif room and own and room != own and room not in ARROWS[own]:
                wrong.append(f"{where}: no arrow from {own} to {room}")
            elif room and not own and not pure and parts[0] not in FREE:
                wrong.append(f"{where}: {parts[0]} belongs to no room")
    assert wrong == []
