"""ModelInference: leaks, failed allocations, sub-interpreters, threads."""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest

from lifetime import covers, in_subinterpreter, no_leak, run_threads, walk_oom

SETUP = """
import copy
from ferrule._calls import ModelInference

class Sub(ModelInference):
    def _load_model(self, path):
        return [path]
    def __call__(self, data):
        return super().__call__(data)

class Moving(ModelInference):
    __slots__ = ("tag",)
    threshold = property(lambda self: 0.1, lambda self, value: None)

class Failing(ModelInference):
    def _load_model(self, path):
        raise ValueError

class Unformatted:
    def __format__(self, spec):
        raise ValueError

predict, sub, moving = ModelInference("w"), Sub("w", 3), Moving("w")
moving.tag = predict.note = 1
floats = [i / 100 for i in range(100)]
state = predict.__getstate__()

def refuse(function, *args, **kwargs):
    try:
        function(*args, **kwargs)
    except (TypeError, ValueError, AttributeError):
        return
    except SystemError as error:
        # a function of Python's that finds no memory to raise what it wants to
        if not str(error).startswith("<function"):
            raise
        raise MemoryError from None
    raise AssertionError("not refused")
"""
SUCCESSES = {
    "make": "ModelInference('w'); ModelInference(model_path='w', threshold=0.25); Sub('w', 1)",
    "call": "predict(floats); predict(data=floats); predict([0.1, 0.8]); predict(iter(floats))",
    "subclass": "sub(floats); moving(floats)",
    "cycle": "one = ModelInference('w'); one.me = one; one.threshold = [one]; del one",
    "attributes": "predict.threshold = 0.5; predict.model = 'x'; predict.inference_count = 3",
    "state": "predict.__getstate__(); moving.__getstate__(); predict.__setstate__(state)",
    "copy": "copy.copy(predict); copy.copy(sub); copy.copy(moving)",
    "hook": "predict._load_model('path')",
}
ERRORS = {
    "make": "refuse(ModelInference); refuse(ModelInference, 1, 2, 3); refuse(Sub, 'w', x=1)",
    "hook": "refuse(Failing, 'w'); refuse(ModelInference, Unformatted())",
    "call": "refuse(predict, 5); refuse(predict, ['x']); refuse(predict); refuse(predict, x=1)",
    "no threshold": "refuse(ModelInference.__new__(ModelInference), floats)",
    "state": "refuse(predict.__setstate__, 5); refuse(predict.__setstate__, {1: 2})",
    "state of slots": "refuse(predict.__setstate__, ({}, 5)); refuse(predict.__getstate__, 1)",
    "count": "refuse(setattr, predict, 'inference_count', 'x')",
}
CASES = {**SUCCESSES, **{f"error: {name}": code for name, code in ERRORS.items()}}


def ready(code: str) -> Callable[[], object]:
    space: dict[str, object] = {"__name__": "ready"}
    exec(SETUP, space)
    return functools.partial(exec, compile(code, "case", "exec"), space)


NAMES = (
    *["ModelInference", "ModelInference.__init__", "ModelInference.__call__"],
    *["ModelInference.__getstate__", "ModelInference.__setstate__"],
    "ModelInference._load_model",
)


@covers(*NAMES)
@pytest.mark.parametrize("case", SUCCESSES)
def test_success_leaves_nothing_behind(case: str) -> None:
    no_leak(ready(SUCCESSES[case]), rounds=500)


@covers(*NAMES, error=True)
@pytest.mark.parametrize("case", ERRORS)
def test_errors_leave_nothing_behind(case: str) -> None:
    no_leak(ready(ERRORS[case]), rounds=500)


@pytest.mark.parametrize("case", CASES)
def test_no_memory(case: str) -> None:
    assert walk_oom(CASES[case], setup=SETUP) >= 0


def test_subinterpreters() -> None:
    in_subinterpreter(SETUP + "\n".join(CASES.values()))


def test_threads() -> None:
    run = ready("\n".join(CASES.values()))

    def work() -> None:
        for _ in range(50):
            run()

    run_threads(work, 4)
