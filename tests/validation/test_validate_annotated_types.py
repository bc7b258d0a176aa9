"""annotated_types' published test cases: every valid value accepted, every invalid one refused."""

from __future__ import annotations

import importlib
from typing import Annotated, Any, get_args

import pytest

import services

pytestmark = pytest.mark.integration


def cases():
    services.library("annotated_types")
    return list(importlib.import_module("annotated_types.test_cases").cases())


def fitting(tp, values):
    """The annotation; where valid values are not of its type, its metadata alone.

    Two of the cases give a date and a Decimal for a datetime.
    """
    base, *metadata = get_args(tp)
    if isinstance(base, type) and not all(isinstance(value, base | int) for value in values):
        return Annotated[(Any, *metadata)]
    return tp


def test_published_cases(impl):
    tried = changed = 0
    for tp, valid, invalid in cases():
        valid, invalid = list(valid), list(invalid)
        wanted = fitting(tp, valid)
        changed += wanted is not tp
        for value in valid:
            assert impl.validate(value, wanted) is value
        for value in invalid:
            with pytest.raises((TypeError, impl.ConstraintError)):
                impl.validate(value, wanted)
        tried += len(valid) + len(invalid)
    assert tried >= 200 and changed == 2
    print(tried)


def test_published_cases_mean_the_same(impl):
    """Their objects and ours refuse alike, one constraint at a time."""
    for tp, valid, invalid in cases():
        ours = impl.constraints(tp)
        for value in (*valid, *invalid):
            theirs = outcome(impl, value, Annotated[(Any, *tp.__metadata__)])
            assert outcome(impl, value, Annotated[(Any, *ours, "no more")]) == theirs


def outcome(impl, value, tp):
    try:
        impl.validate(value, tp)
    except (TypeError, impl.ConstraintError) as error:
        return str(error)
    return None
