"""CPython's own dataclass tests, with records in place of slots dataclasses."""

import importlib.util
import sys
import types
from pathlib import Path

import pytest

# Test ids, without the name of the suite, that slots dataclasses pass and records do not: reason.
DEPARTURES: dict[str, str] = {
    "TestCase.test_dataclasses_qualnames": "generated methods but __init__ are slot wrappers",
    "TestCase.test_generic_dynamic": "Record stands in the MRO",
    "TestCase.test_is_dataclass_genericalias": "types.GenericAlias has storage of its own",
    "TestCase.test_post_init": "a frozen record may assign its fields in __post_init__",
    "TestCase.test_recursive_annotation": "a dataclasses.field() is copied, not filled in",
    "TestFrozen.test_inherit_frozen_mutliple_inheritance_regular_mixins": "Record is in the MRO",
    "TestFrozen.test_multiple_frozen_dataclasses_inheritance": "Record is in the MRO",
    "TestSlots.test_cant_inherit_from_iterator_slots": "refused too, in other words",
}


def script() -> types.ModuleType:
    spec = importlib.util.spec_from_file_location(
        "from_cpython", Path(__file__).with_name("from_cpython.py")
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_records_pass_what_slots_dataclasses_pass(native):
    suite = script()
    if not suite.installed():
        pytest.skip("this Python comes without test.test_dataclasses")
    slots, record = (suite.run(mode, native.__name__) for mode in ("slots", "record"))
    tests, passed, _ = suite.counts(slots)
    assert tests > 200 and passed > 0.7 * tests
    behind = suite.short(slots, record)
    names = {name.removeprefix(f"{suite.SUITE}."): error for name, error in behind.items()}
    assert {name: names[name] for name in names if name not in DEPARTURES} == {}
