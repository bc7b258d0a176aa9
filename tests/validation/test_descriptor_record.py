"""`Bounded` and `Validated` on record classes: fields that are checked."""

from __future__ import annotations

import abc
import copy
import dataclasses
import gc
import importlib
import inspect
import pickle
import sys
import weakref
from typing import Annotated, Any, ClassVar

import pytest


@pytest.fixture
def records(impl):
    """The records of the same implementation."""
    return importlib.import_module(impl.__name__.replace("validation", "records"))


@pytest.fixture
def config(impl, records):
    class Config(records.Record):
        port: int = impl.Bounded(1, 65535)
        name: str = "a"

    return Config


LOW = "'_bounded_port' must be >= 1, got 0"


def test_network_config(impl, records):
    Bounded = impl.Bounded

    class NetworkConfig(records.Record):
        port = Bounded(min_val=1, max_val=65535)
        timeout = Bounded(min_val=0, max_val=300)
        max_retries = Bounded(min_val=0, max_val=50)

        def __init__(self, port, timeout, max_retries):
            self.port = port
            self.timeout = timeout
            self.max_retries = max_retries

    config = NetworkConfig(port=8080, timeout=30, max_retries=3)
    with pytest.raises(ValueError) as caught:
        config.port = 99999
    assert str(caught.value) == "'_bounded_port' must be <= 65535, got 99999"
    assert (config.port, config.timeout, config.max_retries) == (8080, 30, 3)
    assert repr(config).endswith("NetworkConfig(port=8080, timeout=30, max_retries=3)")
    assert config == NetworkConfig(8080, 30, 3) != NetworkConfig(8081, 30, 3)
    assert copy.copy(config) == copy.deepcopy(config) == config
    with pytest.raises(ValueError, match="_bounded_timeout"):
        NetworkConfig(1, 301, 0)
    assert NetworkConfig.port.max_val == 65535
    unset = NetworkConfig.__new__(NetworkConfig)
    assert (unset.port, unset.timeout) == (None, None)
    assert not hasattr(config, "__dict__")


def test_product(impl, records):
    Validated = impl.Validated

    class Product(records.Record):
        name: str
        price: float = Validated(min_val=0, max_val=10_000)
        quantity: int = Validated(min_val=0, max_val=1_000_000)

    p = Product("Widget", 29.99, 100)
    with pytest.raises(ValueError, match="^price must be between 0 and 10000$"):
        Product("Bad", -5, 10)
    with pytest.raises(TypeError, match="^price must be a number$"):
        p.price = "1"
    assert p == Product("Widget", 29.99, 100)
    assert Product.price.public_name == "price"


def test_every_way_to_write(config, records):
    one = config(5, name="b")
    ways = [
        lambda port: config(port),
        lambda port: config(port=port),
        lambda port: config(port, "c"),
        lambda port: config(name="c", port=port),
        lambda port: setattr(one, "port", port),
        lambda port: setattr(one, "".join(["po", "rt"]), port),
        lambda port: config.__setattr__(one, "".join(["po", "rt"]), port),
        lambda port: config.__setattr__(one, type("Text", (str,), {})("port"), port),
        lambda port: one.__init__(port),
        lambda port: one.__setattr__("port", port),
        lambda port: records.replace(one, port=port),
        lambda port: dataclasses.replace(one, port=port),
        lambda port: one.__setstate__([port, "b"]),
        lambda port: one.__setstate__((None, {"port": port})),
        lambda port: config.port.__set__(one, port),
    ]
    if sys.version_info >= (3, 13):
        ways.append(lambda port: copy.replace(one, port=port))
    for i, way in enumerate(ways):
        way(7 + i)
        state = copy.copy(one)
        with pytest.raises(ValueError, match=LOW):
            way(0)
        with pytest.raises(TypeError, match="'_bounded_port' must be comparable with 1"):
            way("x")
        assert one == state
    with pytest.raises(TypeError, match="port"):
        config()


def test_unpickling_checks(native, monkeypatch):
    records = importlib.import_module("ferrule.records")

    class Config(records.Record):
        port: int = native.Bounded(1, 65535)
        items: Any = None

    Config.__qualname__ = "Config"
    monkeypatch.setitem(globals(), "Config", Config)
    for one in (Config(80), Config(80, [1])):
        assert pickle.loads(pickle.dumps(one)) == one
    for text in (pickle.dumps(Config(80)), pickle.dumps(Config(80, [1]))):
        with pytest.raises(ValueError, match=LOW):
            pickle.loads(text.replace(b"KP", b"K\0"))
    with pytest.raises(ValueError, match=LOW):
        Config._restore(0, None)
    unset = Config._restore()
    assert unset.port is None
    assert pickle.loads(pickle.dumps(unset.__copy__())).port is None


def test_other_fields(config):
    one = config(5)
    one.name = 3
    assert one.name == 3
    del one.name
    with pytest.raises(AttributeError):
        one.name  # noqa: B018
    with pytest.raises(AttributeError):
        one.other = 1
    with pytest.raises(TypeError):
        setattr(one, 5, 1)


def test_unset(config):
    one = config(5)
    del one.port
    assert one.port is None
    with pytest.raises(AttributeError, match="port"):
        del one.port
    assert copy.copy(one).port is None
    with pytest.raises(TypeError):
        one.port = None
    one.port = 6
    assert one.port == 6


def test_class_access(config, records):
    descriptor = config.port
    assert (descriptor.min_val, descriptor.storage_name) == (1, "_bounded_port")
    assert config(5).__class__.port is descriptor
    one = config(8)
    assert descriptor.__get__(one, config) == 8
    descriptor.__delete__(one)
    assert one.port is None
    assert isinstance(config, records.RecordMeta)
    assert config.name is not descriptor
    with pytest.raises(AttributeError):
        config.other  # noqa: B018


def test_dataclass_functions(config, records):
    one = config(5)
    assert records.asdict(one) == dataclasses.asdict(one) == {"port": 5, "name": "a"}
    assert records.astuple(one) == (5, "a")
    port, name = records.fields(config)
    assert (port.name, port.default, name.default) == ("port", dataclasses.MISSING, "a")
    assert list(inspect.signature(config).parameters) == ["port", "name"]
    assert config.__match_args__ == ("port", "name")


@pytest.mark.parametrize("storage", ["u16", "i64", "f64"])
def test_storage_annotations(impl, records, storage):
    class Thing(records.Record):
        __annotations__ = {"port": getattr(records, storage)}
        port = impl.Bounded(1, 1024)

    one = Thing(5)
    assert one.port == 5 and Thing.port.max_val == 1024
    for port in (0, 1025, 70000):
        with pytest.raises(ValueError, match="_bounded_port"):
            Thing(port)
        with pytest.raises(ValueError, match="_bounded_port"):
            one.port = port
    assert one.port == 5
    if storage != "f64":  # checked, then stored
        with pytest.raises(TypeError, match="Thing.port: wanted"):
            one.port = 5.5
    with pytest.raises(AttributeError):
        del one.port
    assert Thing.__new__(Thing).port == 0
    assert records.layout(Thing).fields[0].kind == storage


def test_frozen(impl, records):
    class Config(records.Record, frozen=True):
        port: int = impl.Bounded(1, 9)
        wild: bool = False

        def __post_init__(self):
            if self.wild:
                self.port = 0

    one = Config(5)
    assert (one.port, Config.port.max_val, hash(one)) == (5, 9, hash(Config(5)))
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.port = 6
    with pytest.raises(ValueError):
        Config(10)
    with pytest.raises(ValueError):  # thawed, but checked
        Config(5, True)
    with pytest.raises(ValueError):
        records.replace(one, port=10)


def test_inherited_and_overridden(impl, records, config):
    class Child(config):
        more: int = 0

    class Stricter(config):
        port: int = impl.Bounded(1, 3)

    class Tighter(config):
        port = impl.Bounded(1, 3)

    class Free(config):
        port: int = 8080

    class FreeChild(Free):
        port: int = impl.Bounded(1, 3)

    assert Child(5, "b", 1).more == 1
    with pytest.raises(ValueError):
        Child(0)
    for cls in (Stricter, Tighter, FreeChild):
        assert cls(3).port == 3 and cls.port.max_val == 3
        with pytest.raises(ValueError):
            cls(4)
        with pytest.raises(ValueError):
            cls(3).port = 4
    free = Free()
    free.port = "anything"
    assert (free.port, Free(0).port) == ("anything", 0)
    assert config(4).port == 4 and config.port.max_val == 65535


def test_bases_that_are_a_prefix(native):
    records = importlib.import_module("ferrule.records")

    class Checked(records.Record):
        port: int = native.Bounded(1, 9)

    class Free(records.Record):
        port: int
        more: int = 0

    class First(Checked, Free):
        pass

    class Second(Free, Checked):
        pass

    assert First(5, 1).more == 1 and First.port is Checked.port
    with pytest.raises(ValueError):
        First(0)
    with pytest.raises(ValueError):
        First(5).port = 0
    second = Second(0)
    second.port = 10
    assert second.port == 10


def test_hidden_by_a_subclass(impl, config):
    class Constant(config):
        port = 5

    class Property(config):
        port = property(lambda self: "p", lambda self, value: seen.append(value))

        def __init__(self):
            self.port = 0

    seen = []
    one = Property()
    assert (one.port, seen) == ("p", [0])
    assert Constant.port == 5


def test_keyword_only_and_options(impl, records):
    class Thing(records.Record, kw_only=True, order=True, weakref=True, eq=True):
        x: int = impl.Bounded(0, 9)
        y: int = impl.Bounded(0, 9)

    assert Thing(x=1, y=2) < Thing(x=1, y=3)
    with pytest.raises(ValueError):
        Thing(y=1, x=10)
    with pytest.raises(TypeError):
        Thing(1, 2)
    assert weakref.ref(one := Thing(x=1, y=2))() is one


def test_decorated(impl, records):
    @records.record
    class Config:
        port: int = impl.Bounded(1, 9)
        name: str = "a"

        def stop(self):
            return __class__

    class Plain(Config):
        def __init__(self):
            super().__init__(5)

    one, plain = Config(5), Plain()
    assert (Config.port.max_val, one.stop()) == (9, Config)
    for thing in (one, plain):
        with pytest.raises(ValueError):
            thing.port = 0
        assert thing.port == 5
    with pytest.raises(ValueError):
        Config(0)


def test_make_record(impl, records):
    Config = records.make_record("Config", [("port", int, impl.Bounded(1, 9)), ("x", int, 0)])
    assert Config(5).port == 5
    with pytest.raises(ValueError):
        Config(0)


def test_abstract(impl, records, config):
    class Both(config, records.AbstractRecord):
        @abc.abstractmethod
        def stop(self): ...

    class Real(Both):
        def stop(self):
            return self.port

    class Own(records.AbstractRecord):
        port: int = impl.Bounded(1, 9)

    with pytest.raises(TypeError, match="abstract"):
        Both(5)
    assert Real(5).stop() == 5 and Real.port is config.port
    for cls in (Real, Own):
        assert cls.port.min_val == 1
        with pytest.raises(ValueError):
            cls(0)
        with pytest.raises(ValueError):
            cls(5).port = 0


def test_own_metaclass(impl, records):
    class Meta(records.RecordMeta):
        label = "l"

    class Asking(records.RecordMeta):
        def __getattribute__(cls, name):
            return super().__getattribute__(name)

    for meta in (Meta, Asking):

        class Config(records.Record, metaclass=meta):
            port: int = impl.Bounded(1, 9)

        assert type(Config) is meta
        with pytest.raises(ValueError):
            Config(0)
        with pytest.raises(ValueError):
            Config(5).port = 0
        if meta is Meta:
            assert Config.port.max_val == 9 and Config.label == "l"


def test_class_variables(impl, records):
    class Config(records.Record):
        limit: ClassVar[Any] = impl.Bounded(0, 1)
        x: int = 0

    assert Config.limit.max_val == 1
    assert [field.name for field in records.fields(Config)] == ["x"]


def test_methods_properties_and_cached_ones(impl, records):
    import functools  # noqa: PLC0415

    class Config(records.Record):
        port: int = impl.Bounded(1, 9)

        @functools.cached_property
        def double(self):
            return self.port * 2

        @property
        def text(self):
            return str(self.port)

        @text.setter
        def text(self, value):
            self.port = int(value)

    one = Config(3)
    one.text = "4"
    assert (one.port, one.double, one.text) == (4, 8, "4")
    with pytest.raises(ValueError):
        one.text = "0"


def test_subclass_with_setattr(impl, config):
    log = []

    class Logged(config):
        def __setattr__(self, name, value):
            log.append(name)
            super().__setattr__(name, value)

    one = Logged(5)
    one.port = 6
    with pytest.raises(ValueError):
        one.port = 0
    assert one.port == 6 and log[-2:] == ["port", "port"]


# ---- bad declarations


def test_own_setattr(impl, records):
    with pytest.raises(TypeError, match="checked fields do not go with a __setattr__"):

        class Config(records.Record):
            port: int = impl.Bounded(1, 9)

            def __setattr__(self, name, value): ...

    with pytest.raises(TypeError, match="checked fields do not go with a __setattr__"):

        class Other(records.Record):
            port: int = impl.Bounded(1, 9)

            def __delattr__(self, name): ...


def test_setattr_of_a_mixin(native):
    records = importlib.import_module("ferrule.records")

    class Mixin:
        __slots__ = ()

        def __setattr__(self, name, value): ...

    with pytest.raises(TypeError, match="checked fields do not go with a __setattr__"):

        class Config(Mixin, records.Record):
            port: int = native.Bounded(1, 9)


def test_shared(impl, records):
    shared = impl.Bounded(0, 9)
    with pytest.raises(TypeError, match="cannot be both .*Config.x and .*Config.y"):

        class Config(records.Record):
            x: int = shared
            y: int = shared


def test_shared_with_a_plain_class(impl, records):
    shared = impl.Bounded(0, 9)

    class Plain:
        x = shared

    class Config(records.Record):
        x: int = shared

    plain, one = Plain(), Config(5)
    plain.x = 6
    assert (plain.x, one.x, shared.__get__(plain), shared.__get__(one)) == (6, 5, 6, 5)
    with pytest.raises(TypeError, match="cannot be both"):

        class Second(records.Record):
            y: int = shared


def test_subclass_of_bounded(impl, records):
    class Loud(impl.Bounded):
        def __set__(self, obj, value):
            super().__set__(obj, value)

    class Named(impl.Bounded):
        label = "l"

    class Config(records.Record):
        x: int = Named(0, 9)

    assert Config.x.label == "l"
    with pytest.raises(ValueError):
        Config(10)
    with pytest.raises(TypeError, match="Other.x: Loud defines __get__, __set__ or __delete__"):

        class Other(records.Record):
            x: int = Loud(0, 9)


def test_init_var(impl, records):
    body = {"__annotations__": {"x": records.InitVar[int]}, "x": impl.Bounded(0, 9)}
    with pytest.raises(TypeError, match="Config.x: an InitVar cannot be checked"):
        type(records.Record)("Config", (records.Record,), body)


# ---- re-entrancy


class Half:
    def __init__(self, n, act=lambda: None):
        self.n, self.act = n, act

    def __lt__(self, other):
        self.act()
        return self.n < other

    def __gt__(self, other):
        return self.n > other


def test_the_class_changes_while_comparing(native):
    records = importlib.import_module("ferrule.records")

    class Config(records.Record):
        port: int = native.Bounded(1, 9)
        other: int = native.Bounded(1, 9)

    one = Config(5, 6)

    def hide():
        Config.port = 5

    one.port = Half(3, hide)
    assert Config.port == 5 and "port=<" in repr(one)
    del Config.port
    assert one.other == 6

    class Second(records.Record):
        port: int = native.Bounded(1, 9)
        other: int = native.Bounded(1, 3)

    one = Second(3, 3)
    one.other = Half(2, lambda: setattr(Second.other, "max_val", 1))
    assert one.other.n == 2


def test_the_class_dies_while_comparing(native):
    records = importlib.import_module("ferrule.records")

    def make():
        class Config(records.Record):
            port: int = native.Bounded(1, 9)

        return Config

    holder = [make()]
    ref = weakref.ref(holder[0])

    def drop():
        holder.clear()
        gc.collect()

    one = holder[0](Half(5, drop))
    assert one.port.n == 5
    one.port = Half(6, gc.collect)
    del one
    gc.collect()
    assert ref() is None


def test_collected(impl, records):
    def make():
        class Config(records.Record):
            port: int = impl.Bounded()

        Config.port.max_val = bound = Half(1)
        bound.owner = Config, Config.__new__(Config)
        return weakref.ref(Config)

    ref = make()
    gc.collect()
    assert ref() is None


# ---- containers


@pytest.fixture
def array(native):
    records = importlib.import_module("ferrule.records")

    class Reading(records.Record):
        port: records.u16 = native.Bounded(1, 1024)
        value: records.f64 = 0.0

    return Reading, records


def test_record_array(array):
    Reading, records = array
    rows = records.RecordArray(Reading, [(5, 1.0), Reading(6)])
    for write in (
        lambda port: setattr(rows.row(0), "port", port),
        lambda port: rows.__setitem__(0, (port, 2.0)),
        lambda port: rows.__setitem__(slice(0, 1), [(port, 2.0)]),
        lambda port: rows.append((port, 2.0)),
        lambda port: rows.extend([(3, 2.0), (port, 2.0)]),
        lambda port: rows.extend({"port": [3, port], "value": [0.0, 0.0]}),
        lambda port: records.RecordArray(Reading, [(port, 1.0)]),
    ):
        write(7)
        before = [*rows]
        with pytest.raises(ValueError, match="'_bounded_port' must be"):
            write(0)
        with pytest.raises(ValueError, match="'_bounded_port' must be <= 1024, got 2000"):
            write(2000)
        assert [*rows] == before
    raw = records.RecordArray(Reading, [(5, 1.0)]).tobytes()
    rows.extend(raw)
    with pytest.raises(ValueError, match="got 0"):
        rows.extend(raw.replace(b"\x05", b"\x00"))


def test_record_table(array):
    Reading, records = array
    table = records.RecordTable(Reading)
    columns = {"port": [3, 7], "value": [0.0, 0.0]}
    bad = {"port": [3, 0], "value": [0.0, 0.0]}
    for write, good, wrong in (
        (table.append, (5, 1.0), (0, 1.0)),
        (table.append, Reading(5), (2000, 1.0)),
        (table.extend, [(5, 1.0)], [(5, 1.0), (0, 1.0)]),
        (table.extend, columns, bad),
        (lambda rows: records.RecordTable(Reading, rows), columns, bad),
        (lambda rows: records.RecordTable.from_columns(Reading, rows), columns, bad),
    ):
        write(good)
        before = [*table]
        with pytest.raises(ValueError, match="'_bounded_port' must be"):
            write(wrong)
        assert [*table] == before


# ---- sensitive fields


def hidden_in(error):
    shown = [str(error), repr(error), repr(error.args), repr(getattr(error, "value", None))]
    return error.__cause__ is None and not any(
        secret in text for text in shown for secret in ("hunter2", "987654")
    )


@pytest.mark.parametrize("secret", [987654, "hunter2"])
@pytest.mark.parametrize("kind", ["object", "u32", "redeclared", "checked anew", "validated"])
def test_sensitive(impl, records, secret, kind):
    tp = records.u32 if kind == "u32" else int
    check = impl.Validated(min_val=1, max_val=9999)
    check = check if kind == "validated" else impl.Bounded(1, 9999)
    marked = Annotated[tp, impl.Sensitive]
    first = {"__annotations__": {"pin": int if kind == "redeclared" else marked}, "pin": check}
    again = {"pin": impl.Bounded(1, 9999)}
    if kind == "checked anew":
        del first["pin"]
    Account = type(records.Record)("Account", (records.Record,), first)
    if kind == "redeclared":
        again["__annotations__"] = {"pin": marked}
    if kind in ("redeclared", "checked anew"):
        Account = type(Account)("Account", (Account,), again)
    account = Account(5)
    ways = [
        lambda: Account(secret),
        lambda: Account(pin=secret),
        lambda: setattr(account, "pin", secret),
        lambda: records.replace(account, pin=secret),
        lambda: account.__setstate__([secret]),
        lambda: Account.pin.__set__(account, secret),
    ]
    for way in ways:
        with pytest.raises((TypeError, ValueError), match="pin") as caught:
            way()
        assert hidden_in(caught.value)
    assert account.pin == 5


@pytest.mark.parametrize("secret", [987654, "hunter2"])
def test_sensitive_in_containers(native, secret):
    records = importlib.import_module("ferrule.records")

    class Account(records.Record):
        pin: Annotated[records.u32, "sensitive_data"] = native.Bounded(1, 9999)

    for container in (records.RecordArray(Account), records.RecordTable(Account)):
        container.append(Account(5))
        ways = [
            lambda c=container: c.append((secret,)),
            lambda c=container: c.extend([(secret,)]),
        ]
        for way in ways:
            with pytest.raises((TypeError, ValueError)) as caught:
                way()
            assert hidden_in(caught.value)


def test_not_sensitive_in_a_subclass(impl, records):
    """A subclass's own annotation decides, whoever made the descriptor."""
    check = impl.Bounded(1, 9999)
    body = {"__annotations__": {"pin": Annotated[int, "sensitive_data"]}, "pin": check}
    Base = type(records.Record)("Base", (records.Record,), body)
    Sub = type(Base)("Sub", (Base,), {"__annotations__": {"pin": int}, "pin": check})
    with pytest.raises(impl.ConstraintError, match="<= 9999$"):
        Base(987654)
    with pytest.raises(impl.ConstraintError, match="<= 9999, got 987654$"):
        Sub(987654)


# ---- hidden fields


def test_field_hidden_by_a_base(impl, records):
    class Mix:
        a = impl.Bounded(100, 200)

    class Property:
        @property
        def a(self):
            return 5

    class Harmless:
        def a(self):
            return 5

    class Par(records.Record):
        a: int = impl.Bounded(1, 5)

    class Plain(records.Record):
        a: int

    for base in (Par, Plain):
        for mix in (Mix, Property):
            with pytest.raises(TypeError, match=r"^Z\.a: the field is hidden by the .* of base "):
                type(base)("Z", (mix, base), {})
            assert type(base)("Z", (base, mix), {})(5).a == 5
