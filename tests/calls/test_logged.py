"""`logged`: the article's text before a call, and nothing at all while the level is off."""

from __future__ import annotations

import asyncio
import gc
import inspect
import logging
import sys
import weakref

import pytest

from lifetime import run_threads

LOGGER = logging.getLogger("ferrule.calls")


def add(a, b=2):
    """Add."""
    return a + b


class Unprintable:
    def __repr__(self):
        raise ValueError("no repr")


class Untouchable:
    def __repr__(self):
        pytest.fail("formatted, though nobody listens")


@pytest.fixture(autouse=True)
def level():
    before = LOGGER.level, LOGGER.disabled
    yield
    LOGGER.setLevel(before[0])
    LOGGER.disabled = before[1]
    logging.disable(logging.NOTSET)


# ---- the text


def test_printed(impl, capsys):
    @impl.logged(printer=print)
    def add(a, b):
        print("in it")
        return a + b

    assert add(1, 2) == 3
    assert capsys.readouterr().out == "Calling add\nin it\n"


def test_logged_at_info_from_the_callers_line(impl, caplog):
    wrapped = impl.logged(add)
    with caplog.at_level(logging.INFO):
        assert wrapped(1) == 3
        line = inspect.currentframe().f_lineno - 1
    (record,) = caplog.records
    assert record.getMessage() == "Calling add"
    assert (record.name, record.levelno) == ("ferrule.calls", logging.INFO)
    assert (record.filename, record.lineno) == ("test_logged.py", line)
    assert record.funcName == "test_logged_at_info_from_the_callers_line"
    assert (record.msg, record.args) == ("Calling %s", ("add",))


def test_every_text_comes_from_the_callers_line(impl, caplog):
    wrapped = impl.logged(add, arguments=True, result=True, errors=True)
    with caplog.at_level(logging.INFO):
        wrapped(1)
        with pytest.raises(TypeError):
            wrapped(None)
    assert {record.funcName for record in caplog.records} == {
        "test_every_text_comes_from_the_callers_line"
    }
    assert [record.getMessage() for record in caplog.records][:3] == [
        *["Calling add(1)", "add returned 3", "Calling add(None)"]
    ]
    assert caplog.records[3].getMessage().startswith("add raised TypeError(")


async def test_texts_of_coroutines_come_from_the_awaiting_line(impl, caplog):
    async def wait(x):
        await asyncio.sleep(0)
        return x

    wrapped = impl.logged(wait, result=True)
    with caplog.at_level(logging.INFO):
        assert await wrapped(1) == 1
    assert [record.getMessage() for record in caplog.records] == [
        *["Calling wait", "wait returned 1"]
    ]
    assert caplog.records[0].funcName == ("test_texts_of_coroutines_come_from_the_awaiting_line")


def test_level_is_asked_at_each_call(impl, caplog):
    wrapped = impl.logged(add, arguments=True)

    def said():
        caplog.clear()
        wrapped(1)
        return len(caplog.records)

    assert said() == said() == 0
    with caplog.at_level(logging.INFO):
        assert said() == said() == 1
        LOGGER.setLevel(logging.ERROR)
        assert said() == 0
        LOGGER.setLevel(logging.NOTSET)
        assert said() == 1
        logging.disable(logging.INFO)
        assert said() == 0
        logging.disable(logging.NOTSET)
        assert said() == 1
        LOGGER.disabled = True
        assert said() == 0
        LOGGER.disabled = False
        assert said() == 1
    assert said() == 0


def test_nothing_is_formatted_while_the_level_is_off(impl):
    @impl.logged(arguments=True, result=True, errors=True)
    def func(x):
        return x

    thing = Untouchable()
    for _ in range(3):
        assert func(thing) is thing


def test_a_name_with_a_percent_sign(impl, caplog):
    def func(): ...

    func.__name__ = "100%s"
    lines = []
    impl.logged(func, printer=lines.append)()
    with caplog.at_level(logging.INFO):
        impl.logged(func)()
    assert lines == [record.getMessage() for record in caplog.records] == ["Calling 100%s"]


def test_names_of_what_has_none(impl):
    lines = []

    class Called:
        def __call__(self): ...

        def __repr__(self):
            return "<called>"

    impl.logged(Called(), printer=lines.append)()
    impl.logged(dict, printer=lines.append)()
    assert lines == ["Calling <called>", "Calling dict"]


# ---- arguments, results, errors


def test_arguments(impl):
    lines = []
    wrapped = impl.logged(lambda *args, **kwargs: None, printer=lines.append, arguments=True)
    wrapped.__wrapped__.__name__ = "func"
    wrapped()
    wrapped(1, "a")
    wrapped(x=[1], **{"not a name": 2})
    wrapped(1, y=None)
    assert lines == [
        *["Calling func()", "Calling func(1, 'a')"],
        *["Calling func(x=[1], not a name=2)", "Calling func(1, y=None)"],
    ]


def test_arguments_of_a_method(impl):
    lines = []

    class Thing:
        @impl.logged(printer=lines.append, arguments=True)
        def method(self, x): ...

        def __repr__(self):
            return "<thing>"

    Thing().method(1)
    assert lines == ["Calling method(<thing>, 1)"]


def test_result(impl):
    lines = []
    assert impl.logged(add, printer=lines.append, result=True)(1) == 3
    assert lines == ["Calling add", "add returned 3"]


class Stop(BaseException):
    pass


@pytest.mark.parametrize("kind", [ValueError, Stop, KeyboardInterrupt])
def test_errors(impl, kind):
    error, lines = kind("a"), []

    @impl.logged(printer=lines.append, errors=True, result=True)
    def fail():
        raise error

    with pytest.raises(type(error)) as caught:
        fail()
    assert caught.value is error
    assert lines == ["Calling fail", f"fail raised {error!r}"]


def test_errors_are_silent_unless_asked(impl):
    lines = []
    with pytest.raises(TypeError):
        impl.logged(add, printer=lines.append, result=True)(None)
    assert lines == ["Calling add"]


def test_unprintable(impl):
    lines = []
    wrapped = impl.logged(
        lambda *args, **kwargs: args[0], printer=lines.append, arguments=True, result=True
    )
    thing = Unprintable()
    assert wrapped(thing, x=thing) is thing
    assert lines == [
        "Calling <lambda>(<unprintable Unprintable>, x=<unprintable Unprintable>)",
        "<lambda> returned <unprintable Unprintable>",
    ]


def test_unprintable_error(impl):
    class Odd(Exception):
        def __repr__(self):
            raise ValueError

    def fail():
        raise Odd

    lines = []
    with pytest.raises(Odd):
        impl.logged(fail, printer=lines.append, errors=True)()
    assert lines[1] == "fail raised <unprintable Odd>"


def test_repr_that_is_interrupted(impl):
    class Interrupted:
        def __repr__(self):
            raise KeyboardInterrupt

    called = []
    wrapped = impl.logged(called.append, printer=print, arguments=True)
    with pytest.raises(KeyboardInterrupt):
        wrapped(Interrupted())
    assert called == []


async def test_coroutine(impl):
    lines = []

    @impl.logged(printer=lines.append, arguments=True, result=True, errors=True)
    async def wait(x):
        await asyncio.sleep(0)
        return 1 // x

    assert inspect.iscoroutinefunction(wait)
    waiting = wait(1)
    assert lines == ["Calling wait(1)"]
    assert await waiting == 1
    with pytest.raises(ZeroDivisionError):
        await wait(0)
    assert lines[1:3] == ["wait returned 1", "Calling wait(0)"]
    assert lines[3].startswith("wait raised ZeroDivisionError(")


async def test_cancelled(impl):
    lines = []

    @impl.logged(printer=lines.append, errors=True)
    async def wait():
        await asyncio.sleep(60)

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert lines == ["Calling wait", "wait raised CancelledError()"]


async def test_plain_coroutine_is_the_functions_own(native):
    async def wait(): ...

    waiting = native.logged(wait)()
    assert inspect.iscoroutine(waiting)
    await waiting


# ---- printers and loggers that raise


def test_printer_that_raises_before_the_call(impl):
    def printer(text):
        raise LookupError(text)

    called = []
    wrapped = impl.logged(called.append, printer=printer)
    with pytest.raises(LookupError, match="Calling append"):
        wrapped(1)
    assert called == []


def test_printer_that_raises_after_the_call(impl):
    def printer(text):
        if "Calling" not in text:
            raise LookupError(text)

    with pytest.raises(LookupError, match="add returned 3"):
        impl.logged(add, printer=printer, result=True)(1)
    with pytest.raises(LookupError, match="add raised") as caught:
        impl.logged(add, printer=printer, errors=True)(None)
    assert isinstance(caught.value.__context__, TypeError)


def test_handler_that_raises(impl, monkeypatch):
    """logging keeps that to itself."""

    class Broken(logging.Handler):
        def emit(self, record):
            try:
                raise LookupError
            except LookupError:
                self.handleError(record)

    monkeypatch.setattr(logging, "raiseExceptions", False)
    logger = logging.getLogger("broken")
    logger.propagate = False
    logger.addHandler(Broken())
    assert impl.logged(add, logger=logger, level="ERROR")(1) == 3
    logger.handlers.clear()
    logger.propagate = True


def test_printer_that_calls_again(impl):
    lines = []

    def printer(text):
        lines.append(text)
        if len(lines) < 5:
            wrapped(1)

    wrapped = impl.logged(add, printer=printer)
    wrapped(1)
    assert len(lines) == 5


def test_printer_that_recurses_for_ever(impl):
    wrapped = impl.logged(add, printer=lambda text: wrapped(1))
    with pytest.raises(RecursionError):
        wrapped(1)


def test_logger_given(impl, caplog):
    for logger in ("elsewhere", logging.getLogger("elsewhere")):
        impl.logged(add, logger=logger, level="ERROR")(1)
    impl.logged(logger=logging.LoggerAdapter(logging.getLogger("adapted"), {}), level=50)(add)(1)
    assert [(r.name, r.levelno) for r in caplog.records] == [
        *[("elsewhere", 40), ("elsewhere", 40), ("adapted", 50)]
    ]


def test_root_logger(impl, caplog):
    wrapped = impl.logged(add, logger=logging.getLogger(), level="WARNING")
    wrapped(1)
    wrapped(1)
    assert [record.name for record in caplog.records] == ["root", "root"]


def test_level_of_ones_own(impl, caplog):
    class Level(int):
        pass

    wrapped = impl.logged(add, level=Level(1234567))
    wrapped(1)
    wrapped(1)
    assert [record.levelno for record in caplog.records] == [1234567] * 2


# ---- as a wrapper


def test_threads(impl):
    lines = []
    wrapped = impl.logged(add, printer=lines.append)
    run_threads(lambda: [wrapped(1) for _ in range(500)], 4)
    assert lines == ["Calling add"] * 2000


def test_threads_that_change_the_level(impl):
    wrapped = impl.logged(add, logger="changing")
    logger = logging.getLogger("changing")
    logger.propagate = False
    logger.addHandler(logging.NullHandler())

    def work():
        for i in range(300):
            logger.setLevel(logging.INFO if i % 2 else logging.ERROR)
            assert wrapped(1) == 3

    run_threads(work, 4)
    logger.handlers.clear()
    logger.propagate = True


def test_on_methods(impl):
    lines = []

    class Thing:
        @impl.logged(printer=lines.append)
        def method(self, x):
            return self, x

        @impl.logged(printer=lines.append)
        @staticmethod
        def static(x):
            return x

        @classmethod
        @impl.logged(printer=lines.append)
        def of_class(cls, x):
            return cls, x

    thing = Thing()
    assert thing.method(1) == (thing, 1)
    assert thing.static(2) == 2
    assert thing.of_class(3) == (Thing, 3)
    assert lines == ["Calling method", "Calling static", "Calling of_class"]


def test_generators(impl):
    lines = []

    @impl.logged(printer=lines.append)
    def steps():
        yield 1

    assert list(steps()) == [1]
    assert inspect.isgeneratorfunction(steps)


def test_identity(impl):
    wrapped = impl.logged(add)
    assert (wrapped.__name__, wrapped.__doc__) == ("add", "Add.")
    assert inspect.signature(wrapped) == inspect.signature(add)
    assert isinstance(wrapped, impl.Logged) and isinstance(wrapped, impl.Wrapper)
    assert repr(wrapped) == f"<Logged of {add!r}>"


# ---- bad input


@pytest.mark.parametrize("func", [None, 5, property(add)], ids=str)
def test_not_callable(impl, func):
    for decorate in (impl.logged, impl.logged()):
        with pytest.raises(TypeError, match="logged: wanted a callable, got"):
            decorate(func)


class Undecided:
    def __bool__(self):
        raise LookupError("undecided")


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"printer": 5}, TypeError, "logged: printer: wanted a callable, got int"),
        ({"logger": 5}, TypeError, "logged: logger: wanted a logger or the name of one, got int"),
        ({"level": 1.5}, TypeError, "logged: level: wanted an int or the name of a level, got fl"),
        ({"level": "LOUD"}, ValueError, "logged: level: there is no level 'LOUD'"),
        ({"printer": print, "logger": "a"}, TypeError, "logged: wanted a printer or a logger"),
        ({"other": 1}, TypeError, "other"),
        ({"result": Undecided()}, LookupError, "undecided"),
    ],
    ids=str,
)
def test_bad_options(impl, options, error, text):
    with pytest.raises(error, match=text):
        impl.logged(**options)


def test_memory(native):
    assert sys.getsizeof(native.logged(add)) <= 128


def test_collected(impl):
    def func(): ...

    func.me = impl.logged(func, printer=func)
    ref = weakref.ref(func.me)
    del func
    gc.collect()
    assert ref() is None
