"""`ConstraintError`: a ValueError whose text is made when it is read."""

from __future__ import annotations

import copy
import gc
import pickle
import traceback

import pytest


@pytest.fixture
def refused(impl):
    """An error as the room raises it."""

    def refused(value=10, high=9):
        class Thing:
            x = impl.Bounded(None, high)

        with pytest.raises(impl.ConstraintError) as caught:
            Thing().x = value
        return caught.value

    return refused


TEXT = "'_bounded_x' must be <= 9, got 10"


def test_text(impl, refused):
    error = refused()
    assert isinstance(error, ValueError)
    assert str(error) == TEXT
    assert repr(error) == f"ConstraintError({TEXT!r})".replace('"', '"')
    assert error.args == (TEXT,)
    assert (error.name, error.value) == ("x", 10)
    assert traceback.format_exception_only(error)[-1].rstrip().endswith(f"ConstraintError: {TEXT}")


@pytest.mark.parametrize(
    "read", [str, repr, lambda e: e.args, pickle.dumps, copy.copy], ids=range(5)
)
def test_whoever_reads_first(refused, read):
    error = refused()
    read(error)
    assert (str(error), error.args) == (TEXT, (TEXT,))


def test_made_by_hand(impl):
    error = impl.ConstraintError("a", 5)
    assert (error.args, error.name, error.value) == (("a", 5), None, None)
    assert str(impl.ConstraintError()) == "" and str(impl.ConstraintError("b")) == "b"
    assert repr(impl.ConstraintError("b")) == "ConstraintError('b')"
    with pytest.raises(TypeError):
        impl.ConstraintError(wrong=1)


def test_args_can_be_set(impl, refused):
    error = refused()
    error.args = ("other",)
    assert (str(error), error.args) == ("other", ("other",))
    with pytest.raises(TypeError):
        error.args = 5
    with pytest.raises(TypeError):
        del error.args
    assert error.args == ("other",)


def test_initialised_again(impl, refused):
    error = refused()
    error.__init__("again")
    assert (str(error), error.args) == ("again", ("again",))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle(impl, refused, protocol):
    error = refused()
    error.note = ["a"]
    for other in (
        pickle.loads(pickle.dumps(error, protocol)),
        copy.copy(error),
        copy.deepcopy(error),
    ):
        assert type(other) is impl.ConstraintError
        assert (str(other), other.args, other.note) == (TEXT, (TEXT,), ["a"])
    bare = pickle.loads(pickle.dumps(impl.ConstraintError("b"), protocol))
    assert bare.args == ("b",)


def test_notes_cause_and_context(impl, refused):
    error = refused()
    error.add_note("a note")
    assert error.__notes__ == ["a note"]
    with pytest.raises(LookupError) as caught:
        raise LookupError from error
    assert caught.value.__cause__ is error
    assert error.with_traceback(None) is error


def test_subclass(impl):
    class Mine(impl.ConstraintError):
        def __init__(self, text, extra):
            super().__init__(text)
            self.extra = extra

    error = Mine("a", 5)
    assert (str(error), error.args, error.extra, error.name) == ("a", ("a",), 5, None)


class Unprintable:
    def __init__(self, n):
        self.n = n

    def __lt__(self, other):
        return self.n < other

    def __gt__(self, other):
        return self.n > other

    def __str__(self):
        raise LookupError("unprintable")


class Huge(int):
    def __format__(self, spec):
        raise ValueError("too many")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (10**5000, "int of 16610 bits"),
        (-(10**5000), "int of 16610 bits"),
        (Huge(10), "int of 4 bits"),
        (Unprintable(10), "<Unprintable object>"),
    ],
    ids=range(4),
)
def test_what_cannot_be_shown(impl, value, shown):
    class Thing:
        x = impl.Bounded(0, 9)

    with pytest.raises(impl.ConstraintError) as caught:
        Thing().x = value
    error = caught.value
    relation = "<= 9" if value > 0 else ">= 0"
    assert str(error) == f"'_bounded_x' must be {relation}, got {shown}"
    assert error.args == (str(error),)
    assert shown in repr(error) and pickle.loads(pickle.dumps(error)).args == error.args
    assert error.value is value


def test_bounds_that_cannot_be_shown(impl):
    class Thing:
        x = impl.Bounded(10**5000)
        y = impl.Validated(min_val=10**5000, max_val=10**5001)

    with pytest.raises(impl.ConstraintError, match="^'_bounded_x' must be >= int of 16610 bits, g"):
        Thing().x = 5
    with pytest.raises(impl.ConstraintError, match="^y must be between int of 16610 bits and int "):
        Thing().y = 5
    with pytest.raises(TypeError, match="comparable with int of 16610 bits, got str 'a'$"):
        Thing().x = "a"
    with pytest.raises(ValueError, match="^Bounded: min_val .* got int of 16610 bits and 1$"):
        impl.Bounded(10**5000, 1)
    with pytest.raises(TypeError, match="cannot be compared: int of 16610 bits and 'a'$"):
        impl.Bounded(10**5000, "a")


class Stops(int):
    def __format__(self, spec):
        raise KeyboardInterrupt


def test_an_interrupt_while_the_text_is_made(impl):
    class Thing:
        x = impl.Bounded(0, 9)

    thing = Thing()
    with pytest.raises(KeyboardInterrupt):
        thing.x = Stops(10)
    assert thing.x is None


def test_made_once(native):
    """The text of what may change is made at once, and no second time."""
    asked = []

    class Value(int):
        def __format__(self, spec):
            asked.append(spec)
            return "shown"

    class Thing:
        x = native.Bounded(None, 9)

    with pytest.raises(native.ConstraintError) as caught:
        Thing().x = Value(10)
    error = caught.value
    assert str(error) == str(error) == "'_bounded_x' must be <= 9, got shown"
    assert asked == [""]


def test_text_is_of_what_was_refused(impl):
    class Thing:
        x = impl.Bounded([1], [5])

    value = [9]
    with pytest.raises(impl.ConstraintError) as caught:
        Thing().x = value
    value[0] = 2
    Thing.x.max_val.append(7)
    assert str(caught.value) == "'_bounded_x' must be <= [5], got [9]"


def test_text_has_the_bounds_that_were_compared(impl):
    class Meddles(int):
        def __gt__(self, other):
            Thing.__dict__["x"].max_val = 100
            return True

    class Thing:
        x = impl.Bounded(0, 9)

    with pytest.raises(impl.ConstraintError, match="^'_bounded_x' must be <= 9, got 50$"):
        Thing().x = Meddles(50)
    assert Thing.x.max_val == 100


def test_read_only_parts(native):
    error = native.ConstraintError("a")
    for name in ("name", "value"):
        with pytest.raises(AttributeError):
            setattr(error, name, 5)


def test_collected(native):
    class Value(int):
        pass

    class Thing:
        x = native.Bounded(None, 9)

    value = Value(10)
    try:
        Thing().x = value
    except ValueError as error:
        value.error = error.with_traceback(None)
    gc.collect()
    before = sum(isinstance(one, Value) for one in gc.get_objects())
    del value
    gc.collect()
    assert sum(isinstance(one, Value) for one in gc.get_objects()) == before - 1
