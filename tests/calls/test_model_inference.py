"""ModelInference: called as a function, counted as an object; subclasses, pickles, copies."""

from __future__ import annotations

import copy
import gc
import inspect
import pathlib
import pickle
import sys
import weakref
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

from lifetime import run_threads


@pytest.fixture
def make(impl: ModuleType, monkeypatch: pytest.MonkeyPatch) -> type[Any]:
    """The class; pickle finds it where it says it is."""
    cls: type[Any] = impl.ModelInference
    monkeypatch.setattr(sys.modules[cls.__module__], cls.__name__, cls)
    return cls


def test_the_article(make: type[Any]) -> None:
    predict = make("path/to/weights.bin")
    assert predict([0.1, 0.8, 0.4]) == [0.8]
    assert predict.inference_count == 1
    assert predict.model == "Model(path/to/weights.bin)"
    assert predict.threshold == 0.5


def test_it_stands_in_for_a_lambda(make: type[Any]) -> None:
    """The caller does not change, nor does what it gets."""

    def caller(predict: Callable[[list[float]], list[float]], batches: list[list[float]]) -> Any:
        return [len(predict(batch)) for batch in batches], list(map(predict, batches))

    batches = [[0.1, 0.8, 0.4], [], [0.9, 0.51, 0.5]]
    before = caller(lambda data: [x for x in data if x > 0.5], batches)
    predict = make("weights.bin")
    assert caller(predict, batches) == before == ([1, 0, 2], [[0.8], [], [0.9, 0.51]])
    assert predict.inference_count == 6
    assert callable(predict)


def test_construction(make: type[Any]) -> None:
    assert make(model_path="a", threshold=1).threshold == 1
    assert make("a", 2).threshold == 2
    assert make("a", threshold=None).threshold is None
    assert make(pathlib.Path("a/b")).model == "Model(a/b)"
    assert make(None).model == "Model(None)"
    parameters = inspect.signature(make).parameters.values()
    assert [(item.name, item.default) for item in parameters] == [
        ("model_path", inspect.Parameter.empty),
        ("threshold", 0.5),
    ]
    for wrong in ((), ("a", 1, 2)):
        with pytest.raises(TypeError):
            make(*wrong)
    with pytest.raises(TypeError, match="unexpected keyword argument 'limit'"):
        make("a", limit=1)


def test_what_may_be_passed(make: type[Any]) -> None:
    predict = make("a")
    assert predict((0.1, 0.8)) == [0.8]
    assert predict(x / 10 for x in range(8)) == [0.6, 0.7]
    assert predict(data=[1]) == [1]
    predict.threshold = "b"
    assert predict(["a", "c"]) == ["c"]
    predict.threshold = (1, 2)
    assert predict([(1, 3), (0,)]) == [(1, 3)]


def test_the_same_objects_come_out(make: type[Any]) -> None:
    values = [i / 500 for i in range(500)]
    found = make("a")(values)
    assert list(map(id, found)) == [id(x) for x in values if x > 0.5]
    assert make("a")(found) is not found


def test_calls_count_first(make: type[Any]) -> None:
    predict = make("a")
    with pytest.raises(TypeError, match="not supported between instances of 'str' and 'float'"):
        predict(["x"])
    with pytest.raises(TypeError, match="not iterable"):
        predict(5)
    assert predict.inference_count == 2
    for wrong in ((), ([1], 2)):
        with pytest.raises(TypeError):
            predict(*wrong)
    with pytest.raises(TypeError):
        predict([1], limit=2)
    assert predict.inference_count == 2

    class Curious:
        def __iter__(self) -> Iterator[float]:
            yield predict.inference_count

    assert predict(Curious()) == [3]


def test_attributes(make: type[Any]) -> None:
    predict = make("a")
    predict.threshold = 0.05
    predict.inference_count = 40
    predict.model = "other"
    predict.note = "extra"
    assert predict([0.1]) == [0.1]
    assert (predict.inference_count, predict.model, predict.note) == (41, "other", "extra")
    assert vars(predict)["note"] == "extra"
    del predict.threshold
    with pytest.raises(AttributeError):
        predict([1])
    assert not hasattr(predict, "threshold")
    assert weakref.ref(predict)() is predict
    assert predict == predict and predict != make("a") and {predict: 1}[predict] == 1


def test_a_threshold_read_once_a_call(make: type[Any]) -> None:
    predict = make("a")

    def values() -> Iterator[float]:
        yield 0.7
        predict.threshold = 2
        yield 0.8

    assert predict(values()) == [0.7, 0.8]
    assert predict([0.7]) == []


# ---- subclasses


def test_the_hook(make: type[Any]) -> None:
    loaded: list[Any] = []

    class Loading(make):  # type: ignore[misc]
        def _load_model(self, path: Any) -> Any:
            loaded.append((self, path))
            return {"path": path}

    predict = Loading("w", 0.1)
    assert predict([0.2]) == [0.2] and predict([]) == []
    assert loaded == [(predict, "w")] and predict.model == {"path": "w"}
    assert predict.inference_count == 2


def test_a_hook_that_fails(make: type[Any]) -> None:
    class Failing(make):  # type: ignore[misc]
        def _load_model(self, path: Any) -> Any:
            raise OSError(path)

    with pytest.raises(OSError, match="gone"):
        Failing("gone")


def test_a_subclass_that_calls_on(make: type[Any]) -> None:
    class Doubling(make):  # type: ignore[misc]
        def __init__(self, path: Any, factor: int) -> None:
            super().__init__(path, threshold=10)
            self.factor = factor

        def __call__(self, data: Any) -> Any:
            found = super().__call__(data)
            return [x * self.factor for x in found]

    predict = Doubling("w", 2)
    assert predict([5, 11]) == [22]
    assert (predict.inference_count, predict.model) == (1, "Model(w)")


def test_a_threshold_that_is_computed(make: type[Any]) -> None:
    class Moving(make):  # type: ignore[misc]
        @property
        def threshold(self) -> float:
            return self.inference_count / 10

        @threshold.setter
        def threshold(self, value: float) -> None:
            self.given = value

    predict = Moving("w", 7)
    assert predict.given == 7
    assert predict([0.1, 0.15]) == [0.15]
    assert predict([0.1, 0.15]) == []


def test_slots_and_mixins(make: type[Any]) -> None:
    class Named:
        def name(self) -> str:
            return type(self).__name__

    class Both(Named, make):  # type: ignore[misc]
        __slots__ = ("tag",)

    predict = Both("w")
    predict.tag = 3
    assert (predict([1]), predict.name(), predict.tag) == ([1], "Both", 3)


# ---- pickle and copy


class Counting:
    """Set up below for each implementation: pickle wants it here."""


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle(make: type[Any], protocol: int) -> None:
    if protocol < 2 and make.__module__ == "ferrule.calls":
        pytest.skip("no such type goes into an old pickle")
    predict = make("w", 0.25)
    predict([1])
    predict.note = [1, 2]
    other = pickle.loads(pickle.dumps(predict, protocol))
    assert type(other) is make
    assert (other.model, other.threshold, other.inference_count) == ("Model(w)", 0.25, 1)
    assert other.note == [1, 2]
    assert other([0.1, 0.3]) == [0.3] and other.inference_count == 2


def test_a_pickled_subclass_loads_nothing(make: type[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[Any] = []

    class Counting(make):  # type: ignore[misc]
        __slots__ = ("tag",)
        __qualname__ = "Counting"

        def _load_model(self, path: Any) -> Any:
            loaded.append(path)
            return path

    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or ModuleType(__name__))
    monkeypatch.setattr(sys.modules[__name__], "Counting", Counting, raising=False)
    predict = Counting("w")
    predict.tag, predict.note = 1, 2
    for other in (pickle.loads(pickle.dumps(predict)), copy.copy(predict), copy.deepcopy(predict)):
        assert (other.model, other.tag, other.note) == ("w", 1, 2)
        assert other([1]) == [1]
    assert loaded == ["w"]


def test_copies(make: type[Any]) -> None:
    predict = make("w", [1])
    predict.note = [2]
    shallow, deep = copy.copy(predict), copy.deepcopy(predict)
    assert shallow.threshold is predict.threshold and shallow.note is predict.note
    assert deep.threshold == [1] and deep.threshold is not predict.threshold
    assert deep.note == [2] and deep.note is not predict.note
    predict([])
    assert (predict.inference_count, shallow.inference_count) == (1, 0)


def test_errors_of_state(impl: ModuleType, make: type[Any]) -> None:
    predict = make("w")
    if impl.__name__.startswith("ferrule.pure"):
        pytest.skip("a Python class takes what it gets")
    with pytest.raises(
        TypeError, match=r"__setstate__\(\): wanted a dict, or a pair of dicts, got"
    ):
        predict.__setstate__(5)
    with pytest.raises(TypeError, match=r"__setstate__\(\): names must be str, got int"):
        predict.__setstate__({1: 2})
    with pytest.raises(TypeError, match="inference_count must be an int, got str"):
        predict.inference_count = "x"
    with pytest.raises(TypeError, match="inference_count must be an int, got nothing"):
        del predict.inference_count
    with pytest.raises(OverflowError):
        predict.inference_count = 1 << 70
    assert (predict.inference_count, predict.threshold) == (0, 0.5)


# ---- threads, cycles


def test_the_count_is_exact_under_threads(make: type[Any]) -> None:
    predict = make("w")

    def work() -> None:
        for _ in range(500):
            predict([0.1, 0.9])

    run_threads(work, 8)
    assert predict.inference_count == 4000


def test_a_cycle_is_collected(make: type[Any]) -> None:
    predict = make("w")
    predict.me = predict
    predict.threshold = [predict]
    gone = weakref.ref(predict)
    del predict
    gc.collect()
    assert gone() is None
