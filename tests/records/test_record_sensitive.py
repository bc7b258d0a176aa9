"""Fields marked "sensitive_data": no text that records make shows their values."""

import contextlib
import copy
import dataclasses
import importlib
import inspect
import pickle
from typing import Annotated, Any, ForwardRef, Literal, NewType, Optional

import pytest

import services
from lifetime import in_subinterpreter, no_leak, run_threads, walk_oom

SECRET = "hunter2"
Token = NewType("Token", Annotated[str, "sensitive_data"])  # type: ignore[valid-newtype]


class Marker:
    """Equal to the marker, as `ferrule.validation.Sensitive` is."""

    def __eq__(self, other):
        return isinstance(other, str) and other == "sensitive_data"

    def __hash__(self):
        return hash("sensitive_data")


class Always:
    def __eq__(self, other):
        return True

    __hash__ = None


class EqualToAll:
    def __eq__(self, other):
        return True

    def __hash__(self):
        return 5


class Raises:
    """Whatever is asked of it, once typing's caches have asked."""

    def __init__(self):
        self.number, self.armed = id(self), False

    def __eq__(self, other):
        if self.armed:
            raise ZeroDivisionError
        return self is other

    def __hash__(self):
        if self.armed and not self.number:
            raise ZeroDivisionError
        return self.number


def raising(number):
    mark = Raises()
    annotation = Annotated[str, mark]
    mark.number, mark.armed = number, True
    return annotation


def one_field(impl, annotation):
    return impl.make_record("User", [("name", str), ("password", annotation)])


@pytest.mark.parametrize(
    "annotation",
    [
        Annotated[str, "sensitive_data"],
        Annotated[str, "min_len:3", Marker()],
        Annotated[Optional[str], "sensitive_data"],  # noqa: UP045
        Optional[Annotated[str, "sensitive_data"]],  # noqa: UP045
        Annotated[str, "sensitive_data"] | None,
        list[Annotated[str, Marker()]],
        dict[str, tuple[int, Annotated[str, Marker()]]],
        Token,
        Optional[Token],  # noqa: UP045
        Optional[ForwardRef("Annotated[str, 'sensitive_data']")],  # noqa: UP045
        list["Annotated[str, 'sensitive_data']"],
        "Annotated[str, 'sensitive_data']",
        "Annotated[nowhere, 'sensitive_data']",
        "nowhere[str, Sensitive]",
    ],
    ids=lambda annotation: repr(annotation)[:60],
)
def test_shown_as_stars(impl, annotation):
    user = one_field(impl, annotation)("ann", SECRET)
    assert repr(user) == str(user) == f"{user}" == "User(name='ann', password=***)"
    assert user.password == SECRET


@pytest.mark.parametrize(
    "annotation",
    [
        str,
        Annotated[str, "min_len:3"],
        Annotated[str, Always()],
        Annotated[str, EqualToAll()],
        raising(0),
        raising(hash("sensitive_data")),
        Annotated[str, b"sensitive_data", 5, [], "sensitive", ["sensitive_data"]],
        Literal["sensitive_data", "hunter2"],
        Optional[Literal["sensitive_data"]],  # noqa: UP045
        "nowhere",
    ],
    ids=lambda annotation: repr(annotation)[:60],
)
def test_other_metadata_says_nothing(impl, annotation):
    assert repr(one_field(impl, annotation)("ann", SECRET)) == (
        "User(name='ann', password='hunter2')"
    )


def test_metadata_of_numpy(impl):
    services.library("numpy")
    numpy = importlib.import_module("numpy")

    for values in (numpy.array(["sensitive_data"] * 2), numpy.float64(2)):
        cls = one_field(impl, Annotated[str, values])
        assert SECRET in repr(cls("ann", SECRET))


def test_an_alias_that_names_itself(impl, define):
    module = define("""
        from typing import Annotated, Optional, Union
        Tree = dict[str, Union["Tree", Annotated[str, "sensitive_data"]]]
        Plain = dict[str, Optional["Plain"]]

        class Holder(Record):
            tree: Tree
            plain: Plain
    """)
    assert repr(module.Holder({"a": SECRET}, {})) == "Holder(tree=***, plain={})"


def test_type_statement(impl, define):
    try:
        module = define("""
            from typing import Annotated
            type Secret = Annotated[str, "sensitive_data"]
            type Several[T] = list[tuple[T, Secret]]
            type Plain = list[Plain] | None

            class Holder(Record):
                secret: Secret
                several: Several[int]
                plain: Plain
        """)
    except SyntaxError:
        pytest.skip("needs Python 3.12")
    shown = repr(module.Holder(SECRET, [(1, SECRET)], None))
    assert shown == "Holder(secret=***, several=***, plain=None)"


def test_future_annotations(impl, define):
    module = define("""
        from __future__ import annotations
        from typing import Annotated

        class User(Record):
            name: str
            password: Annotated[str, "sensitive_data"] = "hunter2"
    """)
    assert repr(module.User("ann")) == "User(name='ann', password=***)"


def account(impl: Any) -> Any:
    """Sensitive fields of every kind of storage."""
    kinds = {
        "small": impl.i8,
        "number": impl.i64,
        "wide": impl.u64,
        "real": impl.f64,
        "single": impl.f32,
        "flag": impl.bool8,
        "raw": Annotated[bytes, impl.Size(4)],
        "text": Annotated[str, impl.Size(6)],
    }
    fields = [(name, Annotated[tp, "sensitive_data"]) for name, tp in kinds.items()]
    return impl.make_record("Account", fields)


GOOD = (1, 2, 3, 1.5, 1.5, True, b"abcd", "abc")

WRONG = {
    "small": (777_123, SECRET),
    "number": (777_123 << 70, SECRET),
    "wide": (777_123 << 70, -777_123, SECRET),
    "real": (SECRET, (1 << 60) + 777_123),
    "single": (SECRET, 777_123e200),
    "flag": (777_123, SECRET),
    "raw": (b"hunter2", SECRET),
    "text": ("hunter2", b"hunter2", "hunter\0", "hunter\ud800"),
}


@pytest.mark.parametrize("name", WRONG)
def test_errors_of_fields(impl, name):
    cls = account(impl)
    good = cls(*GOOD)
    assert repr(good) == "Account(" + ", ".join(f"{name}=***" for name in WRONG) + ")"
    for value in WRONG[name]:
        for attempt in (
            lambda value=value: setattr(good, name, value),
            lambda value=value: impl.replace(good, **{name: value}),
            lambda value=value: cls(**{**dict(zip(WRONG, GOOD, strict=True)), name: value}),
        ):
            with pytest.raises((TypeError, ValueError, OverflowError)) as caught:
                attempt()
            text = f"{caught.value!r} {caught.value.__context__!r} {caught.value.__cause__!r}"
            assert "hunter" not in text and "777" not in text, text
            assert str(caught.value).startswith(f"Account.{name}: wanted ")
            assert str(caught.value).endswith(f", got {type(value).__name__} ***")
    assert good == cls(*GOOD)


def test_errors_of_the_class(impl):
    user = one_field(impl, Annotated[str, Marker()])("ann", SECRET)
    frozen = impl.make_record("Frozen", [("pin", Annotated[str, Marker()])], frozen=True)(SECRET)
    for attempt in (
        lambda: setattr(frozen, "pin", SECRET),
        lambda: delattr(frozen, "pin"),
        lambda: type(user)(SECRET, SECRET, SECRET),
        lambda: type(user)(pasword=SECRET),
        lambda: impl.replace(user, pasword=SECRET),
        lambda: setattr(user, "pasword", SECRET),
    ):
        with pytest.raises((TypeError, AttributeError)) as caught:
            attempt()
        assert SECRET not in f"{caught.value!r}"


def test_a_default_that_does_not_fit(native):
    with pytest.raises(TypeError, match=r"^User.pin: wanted i64, got str \*\*\*$"):
        native.make_record("User", [("pin", Annotated[native.i64, Marker()], SECRET)])


def test_subclasses(impl):
    class Base(impl.Record):
        pin: impl.i64
        secret: Annotated[impl.i64, Marker()]

    class Same(Base):
        more: int = 0

    class Changed(Base):
        pin: Annotated[impl.i64, Marker()]
        secret: impl.i64

    assert repr(Base(1, 2)) == f"{Base.__qualname__}(pin=1, secret=***)"
    assert repr(Same(1, 2)) == f"{Same.__qualname__}(pin=1, secret=***, more=0)"
    assert repr(Changed(1, 2)) == f"{Changed.__qualname__}(pin=***, secret=2)"
    with pytest.raises(TypeError, match=r"pin: wanted i64, got str \*\*\*"):
        Changed(1, 2).pin = SECRET
    with pytest.raises(TypeError, match=r"secret: wanted i64, got str 'hunter2'"):
        Changed(1, 2).secret = SECRET
    with pytest.raises(TypeError, match=r"secret: wanted i64, got str \*\*\*"):
        Same(1, 2).secret = SECRET


def test_repr_of_the_users_own(impl):
    class Own(impl.Record):
        pin: Annotated[str, Marker()]

        def __repr__(self):
            return f"<{self.pin}>"

    class Without(impl.Record, repr=False):
        pin: Annotated[str, Marker()]

    class Hidden(impl.Record):
        pin: Annotated[str, Marker()] = impl.field(repr=False)

    assert repr(Own("a")) == "<a>"
    assert SECRET not in repr(Without(SECRET))
    assert repr(Hidden(SECRET)) == f"{Hidden.__qualname__}()"


def test_values_stay(impl, define):
    module = define("""
        from typing import Annotated
        class User(Record):
            name: str
            password: Annotated[str, "sensitive_data"]
    """)
    user = module.User("ann", SECRET)
    assert impl.asdict(user) == dataclasses.asdict(user) == {"name": "ann", "password": SECRET}
    assert impl.astuple(user) == ("ann", SECRET)
    for made in (copy.copy(user), copy.deepcopy(user), pickle.loads(pickle.dumps(user))):
        assert made == user and made.password == SECRET
    assert impl.replace(user, name="bob").password == SECRET


def test_a_record_made_of_a_class(impl):
    @impl.record
    class User:
        name: str
        password: Annotated[str, "sensitive_data"] = SECRET

    assert repr(User("ann")) == f"{User.__qualname__}(name='ann', password=***)"


def test_nested_and_recursive(impl):
    inner = one_field(impl, Annotated[str, Marker()])("ann", SECRET)
    outer = impl.make_record("Outer", [("users", list), ("code", Annotated[str, Marker()])])
    made = outer([inner], SECRET)
    assert repr(made) == "Outer(users=[User(name='ann', password=***)], code=***)"
    made.users.append(made)
    assert SECRET not in repr(made) and "..." in repr(made)


def test_an_unset_field_is_not_read(impl):
    user = one_field(impl, Annotated[str, Marker()])("ann", SECRET)
    del user.password
    assert repr(user) == "User(name='ann', password=***)"


def stored(impl: Any) -> Any:
    fields = [("name", Annotated[str, impl.Size(8)]), ("pin", Annotated[impl.i64, Marker()])]
    return impl.make_record("Stored", fields)


@pytest.mark.parametrize("kind", ["RecordArray", "RecordTable"])
def test_arrays_and_tables(impl, kind):
    cls = stored(impl)
    rows = getattr(impl, kind)(cls)
    rows.append(("ann", 777_123))
    assert "777" not in repr(rows) and repr(rows[0]) == "Stored(name='ann', pin=***)"
    if kind == "RecordArray":
        assert repr(rows.row(0)) == "Row(Stored(name='ann', pin=***))"
    for attempt in (
        lambda: rows.append(("ann", "hunter2")),
        lambda: rows.append(("ann", "hunter2", 5)),
        lambda: rows.append(["ann", "hunter2"]),
        lambda: rows.extend([("bob", 1), ("ann", "hunter2")]),
        lambda: rows.extend(["hunter2"]),
        lambda: rows.extend({"name": ["ann"], "pin": ["hunter2"]}),
        lambda: rows.extend({"name": ["ann"], "pin": 777_123}),
        lambda: rows.extend(777_123),
        lambda: rows.extend([{"pin": "hunter2"}]),
        lambda: type(rows)(cls, 777_123),
    ):
        with pytest.raises((TypeError, ValueError, OverflowError)) as caught:
            attempt()
        text = f"{caught.value!r} {caught.value.__context__!r}"
        assert "hunter" not in text and "777" not in text, text
    if kind == "RecordArray":
        with pytest.raises(TypeError, match=r"Stored.pin: wanted i64, got str \*\*\*"):
            rows.row(0).pin = "hunter2"
    assert len(rows) == 1 and rows[0].pin == 777_123


def test_texts_of_tables(impl):
    cls = impl.make_record(
        "Stored", [("a", Annotated[str | None, Marker()]), ("b", Annotated[bytes, Marker()])]
    )
    table = impl.RecordTable(cls)
    for row in ((b"hunter2", b""), ("hunter\ud800", b""), ("", "hunter2"), (777_123, b"")):
        with pytest.raises((TypeError, ValueError)) as caught:
            table.append(row)
        assert "hunter" not in str(caught.value) and "777" not in str(caught.value)
        assert str(caught.value).endswith("***")


@pytest.mark.integration
def test_tables_from_arrow(impl):
    services.library("pyarrow")
    pa = importlib.import_module("pyarrow")

    fields = [("pin", Annotated[impl.i8, Marker()])]
    fields.append(("text", Annotated[str, impl.Size(4), Marker()]))
    table = impl.RecordTable(impl.make_record("Stored", fields))
    for columns in (
        {"pin": pa.array([777_123], pa.int64()), "text": ["abc"]},
        {"pin": pa.array([1], pa.int8()), "text": ["hunter2"]},
    ):
        with pytest.raises((TypeError, ValueError, OverflowError)) as caught:
            table.extend(pa.table(columns))
        assert "hunter" not in str(caught.value) and "777" not in str(caught.value)


# ---- lifetime

SETUP = """
from typing import Annotated, Optional
from ferrule.records import Record, i64

class User(Record):
    name: str
    pin: Annotated[i64, "sensitive_data"]
    more: list[Annotated[str, "sensitive_data"]]

def refuse(function, *args):
    try:
        function(*args)
    except (TypeError, AttributeError):
        return
    raise AssertionError("not refused")

user = User("ann", 5, [])
maybe = Optional["Annotated"]  # compiling, CPython does not survive
annotations = {"a": Annotated[str, "sensitive_data"], "b": maybe, "c": "nowhere", "d": i64}
"""
CASES = {
    "repr": "repr(user)",
    "error": "refuse(setattr, user, 'pin', 'a'); refuse(User, 'ann', 'a', [])",
    # refused in the end: CPython does not survive making a class without memory
    "class": "refuse(type(Record), 'A', (Record,), {'__annotations__': annotations, 'd': 'a'})",
}


@pytest.mark.parametrize("case", CASES)
def test_lifetime(case, native):
    space: dict[str, Any] = {"__name__": "case"}
    exec(SETUP, space)
    code = compile(CASES[case], "case", "exec")
    for _ in range(7):  # caches of the interpreter fill slowly; whoever leaks, leaks every time
        with contextlib.suppress(pytest.fail.Exception):
            no_leak(lambda: exec(code, space), rounds=300)
            break
    else:
        no_leak(lambda: exec(code, space), rounds=300)
    run_threads(lambda: [exec(code, dict(space)) for _ in range(20)], 4)
    walk_oom(CASES[case], setup=SETUP)
    in_subinterpreter(SETUP + CASES[case])


def test_default_is_not_shown(impl):
    class User(impl.Record):
        name: str = "ann"
        password: Annotated[str, "sensitive_data"] = SECRET
        token: Annotated[str, "sensitive_data"] = impl.field(default=SECRET, init=False)
        made: Annotated[str, "sensitive_data"] = impl.field(default_factory=str, kw_only=True)

    assert "name: str = 'ann', password: " in User.__doc__
    assert SECRET not in User.__doc__ and "= ***" in User.__doc__
    shown = [repr(field) for field in impl.fields(User)]
    assert not any(SECRET in text for text in shown)
    assert [",default=***," in text for text in shown] == [False, True, True, False]
    assert impl.fields(User)[1].default == SECRET
    assert User().password == User().token == SECRET
    assert inspect.signature(User).parameters["password"].default == SECRET


def test_default_of_a_documented_class(impl):
    class User(impl.Record):
        """A user."""

        password: Annotated[str, "sensitive_data"] = SECRET

    class Other(impl.Record):
        password: Annotated[str, "sensitive_data"]

    class Sub(User):
        more: str = "more"

    assert User.__doc__ == "A user."
    assert Other.__doc__.startswith("Other(password: ") and "***" not in Other.__doc__
    assert SECRET not in repr(impl.fields(User)) + repr(impl.fields(Sub)) + (Sub.__doc__ or "")
