"""CPython's own dataclass tests, with records in place of slots dataclasses."""

import pytest

import suites

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


@pytest.mark.slow
def test_records_pass_what_slots_dataclasses_pass(native):
    script = suites.load(__file__)
    suite = script.suite
    if not suite.installed():
        pytest.skip("this Python comes without test.test_dataclasses")
    slots, record = (suite.run(mode, native.__name__) for mode in ("slots", "record"))
    tests, passed, _ = script.counts(slots)
    assert tests > 200 and passed > 0.7 * tests
    behind = suite.short(slots, record)
    assert {name: error for name, error in behind.items() if name not in DEPARTURES} == {}
