"""Fixtures of the records tests: classes from source text, and the native module alone."""

import importlib
import itertools
import sys
import textwrap
import types
from collections.abc import Callable, Iterator

import pytest

NAMES = (
    "Record AbstractRecord record make_record field Field Size fields asdict astuple replace "
    "layout Layout FieldLayout i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 bool8 "
    "Coded Column RecordArray RecordTable Row "
    "MISSING KW_ONLY InitVar FrozenInstanceError"
).split()


@pytest.fixture
def native(request: pytest.FixtureRequest) -> types.ModuleType:
    """The native module, for what the twin cannot have: memory, sealing, the collector header."""
    if request.config.getoption("--impl") == "pure":
        pytest.skip("--impl pure")
    return importlib.import_module("ferrule.records")


@pytest.fixture
def define(impl: types.ModuleType) -> Iterator[Callable[[str], types.ModuleType]]:
    """Compile source text, which sees the public names of `impl`, as an importable module.

    For classes that pickle must find, for `from __future__ import annotations`, for new syntax.
    """
    made: list[str] = []
    numbers = itertools.count()

    def compiled(source: str) -> types.ModuleType:
        module = types.ModuleType(f"compiled_for_records_{next(numbers)}")
        vars(module).update({name: getattr(impl, name) for name in NAMES})
        sys.modules[module.__name__] = module
        made.append(module.__name__)
        exec(compile(textwrap.dedent(source), module.__name__, "exec"), vars(module))
        return module

    yield compiled
    for name in made:
        sys.modules.pop(name, None)
