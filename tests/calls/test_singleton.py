"""singleton: one instance of a class that stays a class; threads, forks, failures, metaclasses."""

from __future__ import annotations

import abc
import copy
import dataclasses
import gc
import inspect
import os
import pickle
import pydoc
import sys
import threading
import unittest.mock
import weakref
from collections.abc import Callable
from types import ModuleType
from typing import Any, Generic, TypeVar

import pytest

from lifetime import run_threads

T = TypeVar("T")


def native(impl: ModuleType) -> bool:
    return not impl.__name__.startswith("ferrule.pure")


def test_the_article(impl: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    @impl.singleton
    class DatabaseConnection:
        def __init__(self, url: str) -> None:
            self.url = url
            print(f"Connecting to {url}")

    db1 = DatabaseConnection("postgres://localhost/mydb")
    db2 = DatabaseConnection("postgres://localhost/mydb")
    print(db1 is db2)
    assert capsys.readouterr().out == "Connecting to postgres://localhost/mydb\nTrue\n"


def make(impl: ModuleType) -> Any:
    class DB:
        """A connection."""

        made = 0
        url: str

        def __init__(self, url: str = "x") -> None:
            type(self).made += 1
            self.url = url

        def close(self) -> str:
            return f"closed {self.url}"

    return impl.singleton(DB)


def test_it_is_still_a_class(impl: ModuleType) -> None:
    cls = make(impl)
    one = cls("a")
    assert isinstance(cls, type) and type(cls) is type
    assert isinstance(one, cls) and type(one) is cls and issubclass(cls, object)
    assert (cls.__name__, cls.__doc__, cls.made) == ("DB", "A connection.", 1)
    assert cls.close(one) == one.close() == "closed a"
    assert "A connection." in pydoc.render_doc(cls)
    if native(impl):
        assert str(inspect.signature(cls)) == "(url: 'str' = 'x') -> 'None'"
        assert "__new__" not in vars(cls)


def test_later_arguments_do_not_matter(impl: ModuleType) -> None:
    cls = make(impl)
    one = cls("a")
    for args, kwargs in (((), {}), (("b",), {}), ((1, 2, 3), {"x": 5}), ((), {"url": "c"})):
        assert cls(*args, **kwargs) is one
    assert (one.url, cls.made) == ("a", 1)


def test_reset(impl: ModuleType) -> None:
    cls = make(impl)
    assert cls.reset() is None
    one = cls("a")
    assert cls.reset() is None
    other = cls(url="b")
    assert other is not one and cls() is other and (one.url, other.url) == ("a", "b")
    assert other.reset() is None and cls() is not other
    with pytest.raises(TypeError):
        cls.reset(1)


def test_calls_that_the_interpreter_specialises(impl: ModuleType) -> None:
    """3.13 makes instances of simple classes without calling them."""

    class DB:
        def __init__(self, url: str) -> None:
            self.url = url

    def call(kind: Any) -> Any:
        return kind("a")

    for _ in range(100):
        call(DB)
    cls = impl.singleton(DB)
    one = call(cls)
    for _ in range(100):
        assert call(cls) is one
    assert len({id(cls("a")) for _ in range(100)}) == 1


def test_a_constructor_that_fails(impl: ModuleType) -> None:
    fail = [ValueError("one"), KeyboardInterrupt(), SystemExit(3)]

    @impl.singleton
    class DB:
        def __init__(self) -> None:
            if fail:
                raise fail.pop(0)

    for wanted in (ValueError, KeyboardInterrupt, SystemExit):
        with pytest.raises(wanted):
            DB()
    assert DB() is DB()


def test_errors_of_the_arguments_are_pythons_own(impl: ModuleType) -> None:
    @impl.singleton
    class Plain:
        pass

    @impl.singleton
    class One:
        def __init__(self, x: int) -> None:
            self.x = x

    with pytest.raises(TypeError, match=r"Plain\(\) takes no arguments"):
        Plain(1)
    with pytest.raises(TypeError, match=r"missing 1 required positional argument: 'x'"):
        One()
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'y'"):
        One(1, y=2)
    assert One(5).x == 5 and Plain() is Plain()


def test_a_call_from_within(impl: ModuleType) -> None:
    @impl.singleton
    class DB:
        def __init__(self, again: bool = True) -> None:
            if again:
                DB()

    wanted = r"DB\(\): called while its instance is being made"
    with pytest.raises(RuntimeError, match=wanted):
        DB()
    assert DB(False) is DB()


def test_own_new(impl: ModuleType) -> None:
    @impl.singleton
    class DB:
        x: int

        def __new__(cls, x: int) -> Any:
            self = super().__new__(cls)
            self.x = x
            return self

    assert DB(3) is DB(4) and DB(0).x == 3

    @impl.singleton
    class Other:
        def __new__(cls) -> Any:
            return "another"

    assert Other() == "another"


# ---- derived classes


def test_classes_derived_from_it_are_plain(impl: ModuleType) -> None:
    cls = make(impl)

    class Sub(cls):  # type: ignore[misc, valid-type]
        def __init__(self, url: str, more: int = 0) -> None:
            super().__init__(url)
            self.more = more

    class Simple(cls):  # type: ignore[misc, valid-type]
        pass

    one = cls("a")
    subs = [Sub("b", 1), Sub("c"), Simple("d"), Simple()]
    assert len(set(map(id, [one, *subs]))) == 5
    assert [sub.url for sub in subs] == ["b", "c", "d", "x"]
    assert isinstance(subs[0], cls) and cls() is one
    with pytest.raises(TypeError):
        Simple(1, 2)


def test_a_derived_class_may_be_decorated_too(impl: ModuleType) -> None:
    cls = make(impl)

    @impl.singleton
    class Sub(cls):  # type: ignore[misc, valid-type]
        pass

    assert Sub("b") is Sub("c") and cls("a") is cls() and Sub() is not cls()
    Sub.reset()
    assert Sub("d").url == "d" and cls().url == "a"


def test_two_bases(impl: ModuleType) -> None:
    one, other = make(impl), make(impl)

    class Abstract(abc.ABC):
        @abc.abstractmethod
        def f(self) -> int: ...

    class Both(one, other, Abstract):  # type: ignore[misc, valid-type]
        def f(self) -> int:
            return 1

    assert Both("a") is not Both("a")


# ---- kinds of classes


def test_slots_dataclass_generic(impl: ModuleType) -> None:
    @impl.singleton
    class Slots:
        __slots__ = ("x", "__weakref__")

        def __init__(self, x: int) -> None:
            self.x = x

    assert Slots(1) is Slots(2) and Slots(0).x == 1

    @impl.singleton
    @dataclasses.dataclass
    class Data:
        x: int
        y: list[int] = dataclasses.field(default_factory=list)

    assert Data(1) is Data(2) and Data(1) == Data(3) and repr(Data(0)).endswith("Data(x=1, y=[])")
    assert dataclasses.asdict(Data(0)) == {"x": 1, "y": []}

    @impl.singleton
    class Box(Generic[T]):
        def __init__(self, x: T) -> None:
            self.x = x

    assert Box[int](1) is Box("a") is Box[str]("b")


def test_abstract_classes(impl: ModuleType) -> None:
    class Base(abc.ABC):
        @abc.abstractmethod
        def f(self) -> int: ...

    @impl.singleton
    class Concrete(Base):
        def __init__(self, x: int) -> None:
            self.x = x

        def f(self) -> int:
            return self.x

    one = Concrete(1)
    assert Concrete(2) is one and one.f() == 1 and isinstance(one, Base)
    assert issubclass(Concrete, Base) and isinstance(Concrete, abc.ABCMeta)

    class Sub(Concrete):
        pass

    assert Sub(3) is not Sub(3) and Sub(4).x == 4

    @impl.singleton
    class Open(Base):
        pass

    with pytest.raises(TypeError, match="abstract"):
        Open()
    Concrete.register(int)
    assert isinstance(5, Concrete)


def test_a_metaclass_that_is_called(impl: ModuleType) -> None:
    calls: list[Any] = []

    class Meta(type):
        def __call__(cls, *args: Any, **kwargs: Any) -> Any:
            calls.append((cls.__name__, args, kwargs))
            return super().__call__(*args, **kwargs)

    class Plain(metaclass=Meta):
        def __init__(self, x: int = 0) -> None:
            self.x = x

    @impl.singleton
    class DB(Plain):
        pass

    one = DB(1)
    assert DB(x=2) is one and one.x == 1 and type(one) is DB
    assert isinstance(DB, Meta)
    if native(impl):
        assert calls == [("DB", (1,), {})]

    class Sub(DB):
        pass

    calls.clear()
    assert Sub(5) is not Sub(x=6)
    assert calls == [("Sub", (5,), {}), ("Sub", (), {"x": 6})]
    assert Plain(1) is not Plain(1)

    @impl.singleton
    class Other(Plain):
        pass

    @impl.singleton
    class Deep(DB):
        pass

    assert Other(1) is Other(2) is not one and Deep(7) is Deep(8) and Deep().x == 7
    DB.reset()
    assert DB(9).x == 9


def test_records(impl: ModuleType) -> None:
    records = pytest.importorskip("ferrule.records")
    if not native(impl):
        pytest.skip("the twin changes attributes that a record has not")

    class Settings(records.Record):  # type: ignore[misc, name-defined]
        port: records.i64 = 80  # type: ignore[name-defined]

    cls = impl.singleton(Settings)
    one = cls(8080)
    assert cls(1) is one and cls() is one and one.port == 8080
    assert one == records.replace(one) or records.replace(one) is one

    class Sub(cls):  # type: ignore[misc, valid-type]
        pass

    assert Sub(1) is not Sub(1) and Sub(3).port == 3
    cls.reset()  # a record without a collector header keeps its class, and that would keep it


# ---- what is refused


def test_errors(impl: ModuleType) -> None:
    for wrong in (5, len, None, "DB"):
        name = type(wrong).__name__
        with pytest.raises(TypeError, match=rf"singleton\(\): wanted a class, got {name}"):
            impl.singleton(wrong)
    for builtin in (int, dict):
        name = builtin.__name__
        with pytest.raises(TypeError, match=rf"singleton\(\): the class {name} cannot be changed"):
            impl.singleton(builtin)

    class Resets:
        def reset(self) -> None: ...

    class Inherits(Resets):
        pass

    for cls in (Resets, Inherits):
        wanted = rf"singleton\(\): {cls.__name__} has an attribute reset of its own"
        with pytest.raises(TypeError, match=wanted):
            impl.singleton(cls)
        assert cls() is not cls()
    cls = make(impl)
    with pytest.raises(TypeError, match=r"singleton\(\): DB is a singleton already"):
        impl.singleton(cls)
    for args in ((), (cls, 1)):
        with pytest.raises(TypeError):
            impl.singleton(*args)


def test_a_class_that_refuses_attributes(impl: ModuleType) -> None:
    class Meta(type):
        def __setattr__(cls, name: str, value: Any) -> None:
            raise LookupError(name)

    class Sealed(metaclass=Meta):
        pass

    with pytest.raises(LookupError, match="reset"):
        impl.singleton(Sealed)
    assert Sealed() is not Sealed() and not hasattr(Sealed, "reset")


# ---- changed later, copied, collected


def test_methods_may_be_patched(impl: ModuleType) -> None:
    if not native(impl):
        pytest.skip("the twin is patched itself")
    cls = make(impl)

    def init(self: Any, url: str) -> None:
        self.url = f"patched {url}"

    with unittest.mock.patch.object(cls, "__init__", init):
        assert cls("a") is cls("b") and cls("c").url == "patched a"
    cls.reset()
    assert cls("d") is cls("e") and cls("f").url == "d"

    def new(kind: type[Any], url: str) -> Any:
        return object.__new__(kind)

    with unittest.mock.patch.object(cls, "__new__", new):
        cls.reset()
        assert cls("g") is cls("h") and cls("").url == "g"
    assert cls("i").url == "g"
    with unittest.mock.patch.object(cls, "reset", lambda: 5):
        assert cls.reset() == 5
    assert cls.reset() is None


def test_pickle_and_copy(impl: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    cls = make(impl)
    monkeypatch.setitem(sys.modules, "singletons", ModuleType("singletons"))
    monkeypatch.setattr(sys.modules["singletons"], "DB", cls, raising=False)
    cls.__module__, cls.__qualname__ = "singletons", "DB"
    one = cls("a")
    for other in (pickle.loads(pickle.dumps(one)), copy.copy(one), copy.deepcopy(one)):
        assert type(other) is cls and other.url == "a"
    assert pickle.loads(pickle.dumps(cls)) is cls
    assert cls() is one and cls.made == 1


def test_class_and_instance_are_collected(impl: ModuleType) -> None:
    cls = make(impl)
    gone = [weakref.ref(cls("a")), weakref.ref(cls)]
    del cls
    gc.collect()
    assert [ref() for ref in gone] == [None, None]


def test_the_instance_lives_by_its_class(impl: ModuleType) -> None:
    cls = make(impl)
    ref = weakref.ref(cls("a"))
    gc.collect()
    assert ref() is cls()
    cls.reset()
    assert ref() is None


# ---- threads


def test_one_thread_makes_it(impl: ModuleType) -> None:
    made: list[int] = []
    running = threading.Event()

    @impl.singleton
    class DB:
        def __init__(self) -> None:
            made.append(threading.get_ident())
            running.wait(0.05)  # the others come meanwhile

    found: list[Any] = []
    run_threads(lambda: found.append(DB()), 8)
    assert len(made) == 1 and len(set(map(id, found))) == 1


def test_threads_wait_without_the_interpreter_lock(impl: ModuleType) -> None:
    inside, go = threading.Event(), threading.Event()

    @impl.singleton
    class DB:
        def __init__(self) -> None:
            inside.set()
            assert go.wait(30)

    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(DB())) for _ in range(3)]
    threads[0].start()
    assert inside.wait(30)
    threads[1].start()
    threads[2].start()
    go.set()
    for thread in threads:
        thread.join(30)
    assert len(found) == 3 and len(set(map(id, found))) == 1


def test_a_thread_that_waited_tries_again(impl: ModuleType) -> None:
    inside, go = threading.Event(), threading.Event()
    attempts: list[int] = []

    @impl.singleton
    class DB:
        def __init__(self) -> None:
            attempts.append(1)
            if len(attempts) == 1:
                inside.set()
                go.wait(30)
                raise ValueError("first")

    results: list[Any] = []

    def work() -> None:
        try:
            results.append(DB())
        except ValueError as error:
            results.append(str(error))

    threads = [threading.Thread(target=work) for _ in range(4)]
    threads[0].start()
    assert inside.wait(30)
    for thread in threads[1:]:
        thread.start()
    go.set()
    for thread in threads:
        thread.join(30)
    assert len(attempts) == 2 and results.count("first") == 1
    assert len({id(x) for x in results if x != "first"}) == 1


def test_threads_that_wait_for_each_other(impl: ModuleType) -> None:
    if not native(impl):
        pytest.skip("the twin waits forever")
    both = threading.Barrier(2)

    @impl.singleton
    class A:
        tried = False

        def __init__(self) -> None:
            if not A.tried:
                A.tried = True
                both.wait(30)
            self.other = B()

    @impl.singleton
    class B:
        def __init__(self, first: bool = False) -> None:
            if first:
                both.wait(30)
                self.other = A()

    errors: list[str] = []

    def work(make: Callable[[], Any]) -> None:
        try:
            make()
        except RuntimeError as error:
            errors.append(str(error))

    threads = [
        threading.Thread(target=work, args=[A]),
        threading.Thread(target=work, args=[lambda: B(True)]),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    # who went on may then have met itself
    assert any("by a thread that waits for this one" in error for error in errors)


# ---- forks


def in_child(check: Callable[[], bool]) -> bool:
    """Whether `check` holds in a forked child."""
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(0 if check() else 1)
        finally:
            os._exit(2)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status) == 0


pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")


def test_a_child_keeps_the_instance(impl: ModuleType) -> None:
    cls = make(impl)
    one = cls("a")
    assert in_child(lambda: cls("b") is one and cls.made == 1)
    cls.reset()
    assert in_child(lambda: cls("b") is cls("c"))
    assert cls("d").url == "d"


def test_a_fork_while_another_thread_makes_it(impl: ModuleType) -> None:
    if not native(impl):
        pytest.skip("the child of the twin waits forever")
    inside, go = threading.Event(), threading.Event()

    @impl.singleton
    class DB:
        def __init__(self, wait: bool) -> None:
            self.waited = wait
            if wait:
                inside.set()
                go.wait(30)

    def check() -> bool:
        found: list[Any] = []
        thread = threading.Thread(target=lambda: found.append(DB(False)))
        thread.start()
        thread.join(30)
        return found == [DB(False)] and not found[0].waited

    threads = [threading.Thread(target=DB, args=[True]) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert inside.wait(30)
    assert in_child(check)
    go.set()
    for thread in threads:
        thread.join(30)
    assert DB(False).waited


def test_a_fork_from_within(impl: ModuleType) -> None:
    outcome: list[bool] = []

    @impl.singleton
    class DB:
        def __init__(self) -> None:
            def check() -> bool:
                try:
                    DB()
                except RuntimeError:
                    return True
                return False

            outcome.append(in_child(check))

    DB()
    assert outcome == [True]
