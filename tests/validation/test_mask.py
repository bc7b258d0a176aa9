"""`mask`: objects as dicts in which no sensitive value is."""

import array
import collections
import copy
import dataclasses
import datetime
import enum
import functools
import gc
import importlib
import sys
import types
import typing
import weakref
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    NamedTuple,
    NewType,
    Optional,
    TypedDict,
    TypeVar,
)

import pytest

SECRET = "hunter2"
Hidden = Annotated[str, "sensitive_data"]
T = TypeVar("T")


@dataclasses.dataclass
class User:
    name: str
    password: Hidden


class Pair(NamedTuple):
    left: int
    right: Hidden


class Plain:
    name: str
    password: Hidden
    maybe: int

    def __init__(self, **values):
        vars(self).update(values)


class Secrets(TypedDict):
    name: str
    password: Hidden


class Box(Generic[T]):
    item: T

    def __init__(self, item):
        self.item = item


def holding(annotation, value):
    """An object of a class whose only field is annotated so."""
    cls = types.new_class(
        "Holder", (), {}, lambda body: body.update(__annotations__={"x": annotation})
    )
    obj = cls()
    obj.x = value
    return obj


def test_the_article(impl):
    class Account:
        username: Annotated[str, impl.MinLength(3), impl.Sensitive]
        city: str

    account = Account()
    account.username, account.city = "guido", "Haarlem"
    assert impl.mask(account) == {"username": "***", "city": "Haarlem"}
    assert account.username == "guido"


def test_kinds_of_objects(impl):
    assert impl.mask(User("ann", SECRET)) == {"name": "ann", "password": "***"}
    assert impl.mask(Pair(1, SECRET)) == {"left": 1, "right": "***"}
    assert impl.mask(Plain(name="ann", password=SECRET, maybe=1)) == {
        "name": "ann", "password": "***", "maybe": 1,
    }  # fmt: skip
    assert impl.mask({"a": 1, 2: [SECRET]}) == {"a": 1, 2: [SECRET]}
    assert impl.mask(types.MappingProxyType({"a": User("ann", SECRET)})) == {
        "a": {"name": "ann", "password": "***"}
    }


@pytest.mark.parametrize("package", ["ferrule.records", "ferrule.pure.records"])
def test_records(impl, package):
    records = importlib.import_module(package)

    class Reading(records.Record):
        number: records.i64
        pin: Annotated[records.i64, impl.Sensitive]
        text: Hidden = "a"

    assert impl.mask(Reading(1, 2)) == {"number": 1, "pin": "***", "text": "***"}


def test_nothing_sensitive(impl):
    @dataclasses.dataclass
    class Point:
        x: int
        y: Any = None

    @dataclasses.dataclass
    class Empty:
        pass

    assert impl.mask(Point(1)) == {"x": 1, "y": None}
    assert impl.mask(Empty()) == {}


@pytest.mark.parametrize(
    "value", [5, "a", None, [1], (1,), {1}, object(), b"", User, Plain.__init__, 1.5, ...], ids=repr
)
def test_without_fields(impl, value):
    name = type(value).__name__
    with pytest.raises(TypeError, match=rf"^mask\(\) wants an object with .*, got {name}$"):
        impl.mask(value)


def test_arguments(impl):
    with pytest.raises(TypeError):
        impl.mask()
    with pytest.raises(TypeError):
        impl.mask({}, {})


def test_unset_and_unannotated_attributes_are_left_out(impl):
    obj = Plain(name="ann", other=SECRET)
    assert impl.mask(obj) == {"name": "ann", "password": "***"}


def test_sensitive_fields_are_not_read(impl):
    class Careful:
        name: str
        password: Hidden

        @property
        def password(self):  # noqa: F811
            raise ZeroDivisionError

        name = "a"

    assert impl.mask(Careful()) == {"name": "a", "password": "***"}


def test_errors_of_attributes(impl):
    class Bad:
        x: int

        @property
        def x(self):  # noqa: F811
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        impl.mask(Bad())


def test_subclasses(impl):
    class Admin(User):
        level: int = 1

    class Open(User):
        password: str

    admin = Admin("ann", SECRET)
    assert impl.mask(admin) == {"name": "ann", "password": "***", "level": 1}
    assert impl.mask(Open("ann", SECRET)) == {"name": "ann", "password": SECRET}


def test_class_variables_are_no_fields(impl):
    @dataclasses.dataclass
    class Thing:
        x: int
        y: typing.ClassVar[int] = 5
        z: dataclasses.InitVar[int] = 6

    assert impl.mask(Thing(1)) == {"x": 1}


S, U = SECRET, User("ann", SECRET)
MASKED = {"name": "ann", "password": "***"}


@pytest.mark.parametrize(
    ("annotation", "value", "masked"),
    [
        (Optional[Hidden], S, "***"),  # noqa: UP045
        (Optional[Hidden], None, "***"),  # noqa: UP045
        (Annotated[str | None, "sensitive_data"], S, "***"),
        (Annotated[list[str], "sensitive_data"], [S], "***"),
        (NewType("Token", Hidden), S, "***"),
        (typing.Final[Hidden], S, "***"),
        (list[Hidden], [S, S], ["***", "***"]),
        (list[Hidden], [], []),
        (list[Hidden] | None, None, None),
        (list[Hidden] | None, [S], ["***"]),
        (list[Hidden], S, "***"),
        (list[Hidden], {"a": S}, "***"),
        (list[Hidden], (s for s in S), "***"),
        (list[list[Hidden]], [[S], [S]], [["***"], ["***"]]),
        (set[Hidden], {S}, ["***"]),
        (collections.deque[Hidden], collections.deque([S]), ["***"]),
        (typing.Iterable[Hidden], [S], ["***"]),
        (typing.Iterator[Hidden], iter([S]), "***"),
        (typing.Sequence[Hidden], (S,), ("***",)),
        (tuple[Hidden, ...], (S, S), ("***", "***")),
        (tuple[int, Hidden], (1, S), (1, "***")),
        (tuple[Hidden, int], (S, 1, S), ("***", 1, "***")),
        (tuple[int, Hidden], [1, S], "***"),
        (dict[str, Hidden], {"a": S}, {"a": "***"}),
        (dict[Hidden, int], {S: 1}, "***"),
        (dict[str, list[Hidden]], {"a": [S], "b": []}, {"a": ["***"], "b": []}),
        (typing.Mapping[str, Hidden], types.MappingProxyType({"a": S}), {"a": "***"}),
        (int | list[Hidden], 5, 5),
        (int | list[Hidden], [S], ["***"]),
        (list[Hidden] | dict[str, Hidden], {"a": S}, {"a": "***"}),
        (list[Hidden] | dict[str, Hidden], S, "***"),
        (tuple[Hidden, str] | tuple[str, Hidden], (S, S), "***"),
        (Hidden | int, 5, "***"),
        (Secrets, {"password": S, "more": 1}, {"password": "***", "more": 1}),
        (list[Secrets], [{"password": S}], [{"password": "***"}]),
        (Box[Hidden], Box(S), "***"),
        (Box[int], Box(5), {"item": 5}),
        (type[User], User, User),
        (typing.Callable[[Hidden], int], len, len),
        (Literal["sensitive_data"], "sensitive_data", "sensitive_data"),
        (Any, S, S),
        (User, U, MASKED),
        (object, [U, (U,), {U.name: U}], [MASKED, (MASKED,), {"ann": MASKED}]),
        (Any, {1: {2: [U]}}, {1: {2: [MASKED]}}),
        (Any, Pair(1, S), {"left": 1, "right": "***"}),
        (Any, collections.OrderedDict(a=U), {"a": MASKED}),
        (Any, collections.UserDict(a=U), {"a": MASKED}),
        (Any, collections.UserList([U]), [MASKED]),
        (Any, collections.deque([U]), [MASKED]),
        (Any, {"a": U}.values(), [MASKED]),
        (Any, collections.namedtuple("Two", "a b")(1, U), (1, MASKED)),
        (Any, {Pair(1, S): 5}, {"{'left': 1, 'right': '***'}": 5}),
        (Any, {(1, 2): 5, frozenset(): 6}, {(1, 2): 5, "[]": 6}),
        (Any, datetime.date(2020, 1, 1), datetime.date(2020, 1, 1)),
        (Any, array.array("i", [1]), [1]),
        (Any, collections.UserString("abc"), collections.UserString("abc")),
        (Any, range(3), range(3)),
        (Any, bytearray(b"a"), bytearray(b"a")),
    ],
    ids=lambda value: repr(value)[:50],
)  # fmt: skip
def test_where_a_value_is_sensitive(impl, annotation, value, masked):
    result = impl.mask(holding(annotation, value))["x"]
    assert result == masked and type(result) is type(masked)


def test_an_alias_that_names_itself(impl):
    try:
        space: dict[str, Any] = {"Hidden": Hidden}
        exec("type Tree = dict[str, Tree] | Hidden\ntype Open = list[Open] | int", space)
    except SyntaxError:
        pytest.skip("needs Python 3.12")
    assert SECRET not in repr(impl.mask(holding(space["Tree"], {"a": {"b": SECRET}})))
    assert impl.mask(holding(space["Open"], [1, [2]])) == {"x": [1, [2]]}


class Node(TypedDict):
    value: Hidden
    more: "list[Node]"


def test_a_recursive_typed_dict(impl):
    value = {"value": SECRET, "more": [{"value": SECRET, "more": []}]}
    assert SECRET not in repr(impl.mask(holding(Node, value)))


class Color(enum.Enum):
    _ignore_: "list[str]"
    RED: int = 1


def test_enums_are_shown(impl):
    assert impl.mask(holding(Any, Color.RED)) == {"x": Color.RED}


def test_str_subclasses_are_shown(impl):
    class Name(str):
        password: Hidden

    assert impl.mask(holding(Any, Name("a"))) == {"x": "a"}


def test_the_object_is_not_changed_and_containers_are_copies(impl):
    value = [{"a": [1]}, User("ann", SECRET)]
    obj = holding(Any, value)
    before = copy.deepcopy(value)
    masked = impl.mask(obj)
    masked["x"][0]["a"].append(2)
    assert value == before and obj.x is value


@pytest.mark.parametrize("make", [list, dict, User])
def test_cycles(impl, make):
    value: Any = make("a", "b") if make is User else make()
    if make is list:
        value.append((value,))
    elif make is dict:
        value["a"] = [value]
    else:
        value.name = value
    with pytest.raises(ValueError, match=r"^mask\(\): a value of type \w+ contains itself$"):
        impl.mask({"a": value})


def test_the_same_value_twice_is_no_cycle(impl):
    user = User("ann", SECRET)
    assert impl.mask({"a": user, "b": [user, user]}) == {"a": MASKED, "b": [MASKED, MASKED]}


def test_depth(impl):
    value: Any = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(RecursionError):
        impl.mask({"a": value})
    while value:
        value = value.pop()


def test_values_that_change_meanwhile(impl):
    class Pops:
        x: int

        def __init__(self, items):
            self.items = items

        @property
        def x(self):  # noqa: F811
            self.items.clear()
            return 5

    items: list[Any] = []
    items += [Pops(items), SECRET, SECRET]
    assert impl.mask({"a": items}) == {"a": [{"x": 5}]}


def test_unresolved_annotations(impl):
    class Lost:
        x: "nowhere"  # noqa: F821

    class LostSecret:
        x: "Annotated[nowhere, 'sensitive_data']"  # noqa: F821

    with pytest.raises(TypeError, match=r"Lost\.x.*nowhere"):
        impl.mask(Lost())
    lost, secret = Lost(), LostSecret()
    assert impl.mask({"a": lost, "b": secret}) == {"a": {"x": "***"}, "b": {"x": "***"}}


class Protocolled(typing.Protocol):
    def close(self): ...


def test_one_annotation_that_is_not_found_shows_no_other(impl):
    Local = Hidden  # noqa: N806
    assert Local

    @dataclasses.dataclass
    class Partly:
        p: "Hidden"
        f: "Missing" = None  # type: ignore[name-defined]  # noqa: F821
        o: "Optional[Hidden]" = SECRET  # noqa: UP045
        many: "list[Hidden]" = dataclasses.field(default_factory=lambda: [SECRET])
        local: "Local" = SECRET  # known in this function only
        n: "int" = 5
        k: "typing.ClassVar[int]" = 6

    class Below(Partly):
        alias = Hidden
        more: "alias" = SECRET

    shown = {
        "p": "***", "f": "***", "o": "***", "many": ["***"], "local": "***", "n": 5,
    }  # fmt: skip
    assert impl.mask({"a": Partly(SECRET)}) == {"a": shown}
    assert impl.mask({"a": [Below(SECRET)]}) == {"a": [{**shown, "more": "***"}]}
    for obj in Partly(SECRET), Below(SECRET):
        with pytest.raises(TypeError, match=r"annotation cannot be resolved"):
            impl.mask(obj)


def test_a_protocol_is_not_asked(impl):
    @dataclasses.dataclass
    class Uses:
        p: Hidden
        closes: Protocolled

    assert impl.mask(Uses(SECRET, 5)) == {"p": "***", "closes": 5}
    assert impl.mask({"a": Uses(SECRET, 5)}) == {"a": {"p": "***", "closes": 5}}


class Other:
    def method(self): ...


@pytest.mark.parametrize(
    ("annotation", "value", "masked"),
    [
        (list[Hidden] | User, SECRET, "***"),
        (list[Hidden] | User, {"a": SECRET}, "***"),
        (list[Hidden] | User, User("ann", SECRET), {"name": "ann", "password": "***"}),
        (list[Hidden] | str, SECRET, SECRET),
        (list[Hidden] | int, True, True),
        (list[Hidden] | float, 5, 5),
        (list[Hidden] | int, SECRET, "***"),
        (list[Hidden] | dict[str, int], {"a": 1}, {"a": 1}),
        (list[Hidden] | Literal["a", 5], "a", "a"),
        (list[Hidden] | Literal[5], SECRET, "***"),
        (list[Hidden] | NewType("Name", str), "a", "a"),
        (list[Hidden] | Annotated[str, "max_len:9"], "a", "a"),
        (typing.Union[list[Hidden], T], "a", "a"),  # noqa: UP007
        (typing.Union[list[Hidden], Any], "a", "a"),  # noqa: UP007
        (typing.Union[list[Hidden], typing.Callable[[], int]], len, len),  # noqa: UP007
        (typing.Union[list[Hidden], Protocolled], SECRET, "***"),  # noqa: UP007
        (dict[str, list[Hidden] | int], {"a": SECRET, "b": 5}, {"a": "***", "b": 5}),
        (list[Hidden] | Secrets, {"password": SECRET}, {"password": "***"}),
    ],
    ids=str,
)
def test_unions_show_what_one_of_their_members_is(impl, annotation, value, masked):
    assert impl.mask(holding(annotation, value)) == {"x": masked}


def test_a_union_keeps_no_class_alive(impl):
    def make():
        class Knows:
            pass

        Knows.__annotations__ = {"x": typing.Union[list[Hidden], Knows]}  # noqa: UP007
        obj = Knows()
        obj.x = Knows()
        assert impl.mask(obj) == {"x": {}}
        return weakref.ref(Knows)

    ref = make()
    for clear in typing._cleanups:  # type: ignore[attr-defined]
        clear()
    gc.collect()
    assert ref() is None


def test_keys_that_the_class_of_a_dict_annotates(impl):
    class Keyed(dict):
        p: Hidden
        many: list[Hidden]

    class Partly(dict):
        p: "Hidden"
        q: "Missing"  # noqa: F821

    value = Keyed(p=SECRET, many=[SECRET], n=5)
    assert impl.mask(value) == {"p": "***", "many": ["***"], "n": 5}
    assert impl.mask({"a": value}) == {"a": {"p": "***", "many": ["***"], "n": 5}}
    assert impl.mask({"a": Partly(p=SECRET, q=1, n=5)}) == {"a": {"p": "***", "q": "***", "n": 5}}


class Held(enum.Enum):
    SECRETS = User("ann", SECRET)
    NONE = 5


class Slotted(Exception):
    __slots__ = ("user",)


def slotted():
    error = Slotted()
    error.user = User("ann", SECRET)
    return error


def test_namespaces(impl):
    space = types.SimpleNamespace(user=User("ann", SECRET), n=5)
    assert impl.mask(space) == {"user": MASKED, "n": 5}
    assert impl.mask({"a": [space]}) == {"a": [{"user": MASKED, "n": 5}]}


@pytest.mark.parametrize(
    "make",
    [
        lambda: functools.partial(print, U),
        lambda: functools.partial(print, key=[U]),
        lambda: U.__init__,
        lambda: functools.partial(U.__init__, 1),
        lambda: Held.SECRETS,
        lambda: ValueError({"a": U}),
        lambda: OSError(2, "x", U),
        lambda: KeyError(ValueError(U)),
        lambda: ExceptionGroup("a", [ValueError(U)]),
        lambda: slotted(),
    ],
)
def test_what_holds_something_sensitive_is_hidden(impl, make):
    value = make()
    assert impl.mask({"a": [value]}) == {"a": ["***"]}


@pytest.mark.parametrize(
    "make",
    [
        lambda: functools.partial(print, 5, key=[6]),
        lambda: Other().method,
        lambda: [].append,
        lambda: Held.NONE,
        lambda: ValueError({"a": 5}),
        lambda: OSError(2, "x", "y"),
        lambda: UnicodeDecodeError("ascii", b"a", 0, 1, "b"),
        lambda: Slotted(),
    ],
)
def test_what_holds_nothing_sensitive_is_shown(impl, make):
    value = make()
    assert impl.mask({"a": value})["a"] is value


def test_a_method_of_the_object_that_has_it(impl):
    class Calls:
        back: Any
        name: str = "a"

        def __call__(self): ...

    obj = Calls()
    obj.back = obj.__call__
    assert impl.mask(obj) == {"back": obj.back, "name": "a"}
    error = ValueError()
    error.args = ([error],)
    assert impl.mask({"a": error}) == {"a": error}


def test_a_name_defined_later(impl):
    space: dict[str, Any] = {"__name__": "later", "Annotated": Annotated}
    module = types.ModuleType("later")
    module.__dict__.update(space)
    exec("class Later:\n    x: 'Annotated[Name, \"sensitive_data\"]' = 5", vars(module))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "later", module)
        with pytest.raises(TypeError):
            impl.mask(module.Later())
        vars(module)["Name"] = str
        assert impl.mask(module.Later()) == {"x": "***"}


def test_classes_are_let_go(impl):
    def make():
        @dataclasses.dataclass
        class Local:
            x: Hidden

        impl.mask(Local(SECRET))
        return weakref.ref(Local)

    ref = make()
    for clear in typing._cleanups:  # type: ignore[attr-defined]
        clear()
    gc.collect()
    assert ref() is None


def test_many_classes(native):
    for i in range(300):
        cls = dataclasses.make_dataclass(f"C{i}", [("x", Hidden), ("y", int)])
        assert native.mask(cls(SECRET, i)) == {"x": "***", "y": i}
