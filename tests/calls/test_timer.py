"""`timer`: the article's text, figures of all calls, and nothing else changed."""

from __future__ import annotations

import asyncio
import gc
import inspect
import logging
import math
import sys
import weakref

import pytest

from lifetime import run_threads

LOGGER = logging.getLogger("ferrule.calls")


class Clock:
    """Gives the times it was made with, then the last one."""

    def __init__(self, *times):
        self.times = list(times)

    def __call__(self):
        return self.times.pop(0) if len(self.times) > 1 else self.times[0]


def fetch_data(x=None):
    """Fetch."""
    return x


def fail(error):
    raise error


@pytest.fixture(autouse=True)
def level():
    before = LOGGER.level, LOGGER.disabled
    yield
    LOGGER.setLevel(before[0])
    LOGGER.disabled = before[1]
    logging.disable(logging.NOTSET)


def timed(impl, func, *times, **options):
    return impl.timer(func, clock=Clock(*times), **options)


# ---- the text


def test_printed(impl):
    lines = []
    wrapped = impl.timer(fetch_data, printer=lines.append, clock=Clock(1, 1.12344))
    assert wrapped(5) == 5
    assert lines == ["fetch_data took 0.1234s"]


def test_print_itself(impl, capsys):
    @impl.timer(printer=print)
    def fetch_data():
        return 1

    assert fetch_data() == 1
    assert capsys.readouterr().out == "fetch_data took 0.0000s\n"


def test_logged_at_info(impl, caplog):
    wrapped = timed(impl, fetch_data, 0, 2.5)
    with caplog.at_level(logging.INFO):
        wrapped()
        line = inspect.currentframe().f_lineno - 1
    (record,) = caplog.records
    assert record.getMessage() == "fetch_data took 2.5000s"
    assert (record.name, record.levelno) == ("ferrule.calls", logging.INFO)
    assert (record.filename, record.lineno) == ("test_timer.py", line)
    assert record.funcName == "test_logged_at_info"
    assert record.args == ("fetch_data", 2.5)


def test_level_is_asked_at_each_call(impl, caplog):
    wrapped = impl.timer(fetch_data)

    def said():
        caplog.clear()
        wrapped()
        return len(caplog.records)

    assert said() == 0  # the root logger's level is WARNING
    with caplog.at_level(logging.INFO):
        assert said() == said() == 1
        LOGGER.setLevel(logging.ERROR)
        assert said() == said() == 0
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
        logging.getLogger("ferrule").setLevel(logging.ERROR)
        assert said() == 0
        logging.getLogger("ferrule").setLevel(logging.NOTSET)
    assert said() == 0
    assert wrapped.count == 12


@pytest.mark.parametrize("level", [logging.DEBUG, "DEBUG", 10])
def test_level_given(impl, caplog, level):
    wrapped = impl.timer(fetch_data, level=level, logger="somewhere.else")
    with caplog.at_level(logging.DEBUG):
        wrapped()
    assert [(r.name, r.levelno) for r in caplog.records] == [("somewhere.else", 10)]


def test_logger_given(impl, caplog):
    adapter = logging.LoggerAdapter(logging.getLogger("adapted"), {})
    wrapped = impl.timer(logger=adapter, level="ERROR")(fetch_data)
    wrapped()
    assert [r.name for r in caplog.records] == ["adapted"]
    logging.getLogger("adapted").setLevel(logging.CRITICAL)
    wrapped()
    assert len(caplog.records) == 1
    logging.getLogger("adapted").setLevel(logging.NOTSET)


def test_logger_of_another_class(impl):
    class Own(logging.Logger):
        open = False

        def isEnabledFor(self, level):  # noqa: N802
            return self.open

    said = []
    own = Own("own")
    own.handle = said.append
    wrapped = impl.timer(fetch_data, logger=own, level=5)
    wrapped()
    assert said == []
    Own.open = True
    wrapped()
    assert [record.getMessage()[:15] for record in said] == ["fetch_data took"]


def test_logger_that_is_not_registered(impl):
    """Its setLevel does not clear what it has noted: that is so of isEnabledFor too."""
    loose = logging.Logger("loose", logging.DEBUG)
    said = []
    loose.handle = said.append
    wrapped = impl.timer(fetch_data, logger=loose)
    wrapped()
    assert len(said) == 1
    loose.disabled = True
    wrapped()
    assert len(said) == 1


def test_logger_whose_question_raises(impl):
    class Broken:
        def isEnabledFor(self, level):  # noqa: N802
            raise LookupError("broken")

        def log(self, *args, **kwargs): ...

    wrapped = impl.timer(fetch_data, logger=Broken())
    with pytest.raises(LookupError, match="broken"):
        wrapped()
    assert wrapped.count == 1


def test_printer_that_raises(impl):
    def printer(text):
        raise LookupError(text)

    wrapped = impl.timer(fetch_data, printer=printer)
    with pytest.raises(LookupError, match="fetch_data took"):
        wrapped()
    assert (wrapped.count, wrapped.errors) == (1, 0)


def test_names_of_what_has_none(impl):
    lines = []

    class Called:
        def __call__(self): ...

        def __repr__(self):
            return "<called %s>"

    impl.timer(Called(), printer=lines.append)()
    impl.timer(dict, printer=lines.append)()
    assert [line.rpartition(" took ")[0] for line in lines] == ["<called %s>", "dict"]


# ---- figures


def test_before_the_first_call(impl):
    wrapped = impl.timer(fetch_data)
    assert (wrapped.count, wrapped.errors, wrapped.total) == (0, 0, 0.0)
    assert [wrapped.last, wrapped.min, wrapped.max, wrapped.mean] == [None] * 4
    assert wrapped.percentile(50) is None
    wrapped.reset()
    assert wrapped.count == 0


def test_figures(impl):
    wrapped = timed(impl, fetch_data, 0, 1, 10, 13, 20, 22)
    for _ in range(3):
        wrapped()
    assert (wrapped.count, wrapped.errors) == (3, 0)
    assert (wrapped.last, wrapped.min, wrapped.max) == (2, 1, 3)
    assert (wrapped.mean, wrapped.total) == (2, 6)
    wrapped.reset()
    assert (wrapped.count, wrapped.total, wrapped.last) == (0, 0, None)
    wrapped()
    assert (wrapped.count, wrapped.last) == (1, 0)


def test_figures_cannot_be_set(impl):
    wrapped = impl.timer(fetch_data)
    for name in ("count", "errors", "last", "min", "max", "mean", "total"):
        with pytest.raises(AttributeError):
            setattr(wrapped, name, 1)


def test_percentiles_are_close(impl):
    times = [10 ** (i / 20) * 1e-9 for i in range(280)]  # 1 ns to 11 days
    clock = [edge for taken in times for edge in (0.0, taken)]
    wrapped = timed(impl, fetch_data, *clock)
    for _ in times:
        wrapped()
    for q in (0, 0.1, 1, 10, 25, 33.3, 50, 75, 90, 99, 99.9, 100):
        wanted = times[max(math.ceil(q / 100 * len(times)), 1) - 1]
        assert wrapped.percentile(q) == pytest.approx(wanted, rel=1 / 128, abs=0.51e-9), q
    assert wrapped.percentile(0) == wrapped.min
    assert wrapped.percentile(100) == wrapped.max


def test_percentile_of_equal_calls(impl):
    wrapped = timed(impl, fetch_data, *[edge for _ in range(9) for edge in (0, 0.3)])
    for _ in range(9):
        wrapped()
    assert {wrapped.percentile(q) for q in range(101)} == {0.3}


def test_percentile_of_very_long_calls(impl):
    year = 365 * 86_400
    wrapped = timed(impl, fetch_data, 0, year, 0, 2 * year, 0, 3 * year)
    for _ in range(3):
        wrapped()
    assert (wrapped.max, wrapped.percentile(100)) == (3 * year, 3 * year)
    assert wrapped.min <= wrapped.percentile(50) <= wrapped.max


@pytest.mark.parametrize("q", [-0.001, 100.001, math.nan, math.inf, -math.inf])
def test_percentile_out_of_range(impl, q):
    wrapped = impl.timer(fetch_data)
    with pytest.raises(ValueError, match="percentile: wanted a number from 0 to 100"):
        wrapped.percentile(q)


@pytest.mark.parametrize("q", [None, "50", [50]])
def test_percentile_of_no_number(impl, q):
    wrapped = impl.timer(fetch_data)
    with pytest.raises(TypeError, match="percentile: wanted a number from 0 to 100, got"):
        wrapped.percentile(q)


def test_real_clock(impl):
    wrapped = impl.timer(lambda: sum(range(1000)))
    for _ in range(10):
        wrapped()
    assert wrapped.count == 10
    assert 0 < wrapped.min <= wrapped.mean <= wrapped.max < 60
    assert wrapped.min <= wrapped.percentile(50) <= wrapped.max


# ---- calls that raise


class Stop(BaseException):
    pass


@pytest.mark.parametrize("kind", [ValueError, Stop, KeyboardInterrupt, StopIteration])
def test_raising_is_timed_and_silent(impl, kind):
    error, lines = kind("a"), []
    wrapped = timed(impl, fail, 0, 2, printer=lines.append)
    with pytest.raises(type(error)) as caught:
        wrapped(error)
    assert caught.value is error
    assert (wrapped.count, wrapped.errors, wrapped.last, lines) == (1, 1, 2, [])


def test_wrong_arguments_are_an_error(impl):
    wrapped = impl.timer(fetch_data)
    with pytest.raises(TypeError, match="fetch_data"):
        wrapped(1, 2, 3)
    assert wrapped.errors == 1


# ---- clocks


def test_clock_that_steps_back(impl):
    wrapped = timed(impl, fetch_data, 5, 3)
    wrapped()
    assert (wrapped.last, wrapped.count) == (0, 1)


@pytest.mark.parametrize("end", [math.nan, -math.inf])
def test_clock_that_gives_no_time(impl, end):
    wrapped = timed(impl, fetch_data, 5, end)
    wrapped()
    assert (wrapped.last, wrapped.count) == (0, 1)


def test_clock_that_gives_infinity(native):
    wrapped = timed(native, fetch_data, 5, math.inf)
    wrapped()
    assert wrapped.count == 1 and wrapped.last > 1e9


@pytest.mark.parametrize("value", [None, "1", [1]])
def test_clock_that_gives_no_number(impl, value):
    called = []
    wrapped = impl.timer(called.append, clock=lambda: value)
    with pytest.raises(TypeError, match="timer: clock: wanted a number of seconds, got"):
        wrapped(1)
    assert (called, wrapped.count) == ([], 0)


def test_clock_that_fails_at_the_end(impl):
    clock = Clock(0, "late")
    wrapped = impl.timer(fetch_data, clock=clock)
    with pytest.raises(TypeError, match="wanted a number of seconds, got str"):
        wrapped()
    assert wrapped.count == 0


def test_clock_that_fails_after_an_error(impl, monkeypatch):
    """The function's own error goes to the caller."""
    seen = []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: seen.append(args.exc_type))
    wrapped = impl.timer(fail, clock=Clock(0, "late"))
    with pytest.raises(ValueError, match="mine"):
        wrapped(ValueError("mine"))
    assert (seen, wrapped.count) == ([TypeError], 0)


def test_clock_that_raises(impl):
    wrapped = impl.timer(fetch_data, clock=lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        wrapped()


# ---- recursion, re-entrancy, threads


def test_recursion(impl):
    @impl.timer
    def down(n):
        return n and down(n - 1)

    assert down(30) == 0
    assert down.count == 31


def test_recursion_without_end(native):
    @native.timer
    def down(n):
        return n and down(n - 1)

    with pytest.raises(RecursionError):
        down(1_000_000)
    assert down.count == down.errors > 0


def test_reset_within_a_call(impl):
    wrapped = timed(impl, lambda: wrapped.reset(), 0, 1, 5, 7)
    wrapped()
    assert (wrapped.count, wrapped.last) == (1, 1)
    wrapped()
    assert (wrapped.count, wrapped.last) == (1, 2)


def test_printer_that_calls_again(impl):
    lines = []

    def printer(text):
        lines.append(text)
        if len(lines) < 5:
            wrapped()

    wrapped = impl.timer(fetch_data, printer=printer)
    wrapped()
    assert (len(lines), wrapped.count) == (5, 5)


def test_threads(impl):
    wrapped = impl.timer(lambda x: 1 // x)

    def work():
        for i in range(2000):
            if i % 10:
                wrapped(1)
            else:
                with pytest.raises(ZeroDivisionError):
                    wrapped(0)

    run_threads(work, 4)
    assert (wrapped.count, wrapped.errors) == (8000, 800)


# ---- functions of other kinds


async def test_coroutine(impl):
    lines = []

    @impl.timer(printer=lines.append)
    async def wait(x):
        """Wait."""
        await asyncio.sleep(0.02)
        return x

    assert inspect.iscoroutinefunction(wait) and wait.__doc__ == "Wait."
    waiting = wait(5)
    assert wait.count == 0
    assert await waiting == 5
    assert (wait.count, wait.errors) == (1, 0)
    assert wait.last > 0.015
    assert lines == [f"wait took {wait.last:.4f}s"]


async def test_coroutine_is_timed_from_its_first_step(impl):
    clock = Clock(10, 11)
    wrapped = impl.timer(asyncio.sleep, clock=clock)
    waiting = wrapped(0)
    assert clock.times == [10, 11]
    await waiting
    assert wrapped.last == 1


async def test_coroutine_that_raises(impl):
    @impl.timer
    async def wait():
        await asyncio.sleep(0)
        raise LookupError

    with pytest.raises(LookupError):
        await wait()
    assert (wait.count, wait.errors) == (1, 1)
    with pytest.raises(TypeError):
        await wait(1)


async def test_cancelled(impl):
    begun = asyncio.Event()

    @impl.timer
    async def wait():
        begun.set()
        await asyncio.sleep(60)

    task = asyncio.create_task(wait())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (wait.count, wait.errors) == (1, 1)


async def test_cancelled_and_caught(impl):
    @impl.timer
    async def wait():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return "caught"

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    assert await task == "caught"
    assert (wait.count, wait.errors) == (1, 0)


async def test_many_tasks(impl):
    @impl.timer
    async def wait(i):
        await asyncio.sleep(0)
        if i % 4 == 0:
            raise LookupError
        return i

    await asyncio.gather(*(wait(i) for i in range(100)), return_exceptions=True)
    assert (wait.count, wait.errors) == (100, 25)


def test_coroutine_that_is_never_awaited(native):
    @native.timer
    async def wait(): ...

    wait().close()
    assert wait.count == 0


def test_coroutine_closed_or_dropped_in_the_middle(impl):
    class Pause:
        def __await__(self):
            yield 1

    @impl.timer
    async def wait():
        await Pause()

    for end in (lambda waiting: waiting.close(), lambda waiting: None):
        waiting = wait()
        assert waiting.send(None) == 1
        end(waiting)
        del waiting
        gc.collect()
    assert (wait.count, wait.errors) == (2, 2)


def test_generators_are_timed_until_they_are_made(impl):
    @impl.timer
    def steps():
        yield 1

    @impl.timer
    async def asteps():
        yield 1

    assert list(steps()) == [1]
    asteps()
    assert (steps.count, asteps.count) == (1, 1)


# ---- as a wrapper


def test_on_methods(impl):
    class Thing:
        @impl.timer
        def method(self, x):
            return self, x

        @impl.timer
        @staticmethod
        def static(x):
            return x

        @classmethod
        @impl.timer
        def of_class(cls, x):
            return cls, x

        @impl.timer
        @classmethod
        def under(cls):
            return cls

        @property
        @impl.timer
        def prop(self):
            return "prop"

    thing = Thing()
    assert thing.method(1) == (thing, 1) and Thing.method.count == 1
    assert (thing.static(2), Thing.static.count) == (2, 1)
    assert (thing.of_class(3), Thing.of_class.__func__.count) == ((Thing, 3), 1)
    assert thing.under() is Thing
    assert (thing.prop, Thing.prop.fget.count) == ("prop", 1)
    assert thing.method.count == 1  # through the bound method


def test_identity(impl):
    wrapped = impl.timer(fetch_data)
    assert (wrapped.__name__, wrapped.__doc__) == ("fetch_data", "Fetch.")
    assert inspect.signature(wrapped) == inspect.signature(fetch_data)
    assert wrapped.__wrapped__ is fetch_data
    assert isinstance(wrapped, impl.Timer) and isinstance(wrapped, impl.Wrapper)
    assert repr(wrapped) == f"<Timer of {fetch_data!r}>"


def test_own_attributes_win(impl):
    def func(): ...

    func.count = "theirs"
    func.other = "theirs"
    wrapped = impl.timer(func)
    assert (wrapped.count, wrapped.other) == (0, "theirs")
    assert wrapped.__wrapped__.count == "theirs"


def test_decorator_is_used_again(impl):
    lines = []
    decorator = impl.timer(printer=lines.append)
    one, two = decorator(fetch_data), decorator(len)
    one(), two(""), one()
    assert (one.count, two.count, len(lines)) == (2, 1, 3)


# ---- bad input


@pytest.mark.parametrize("func", [None, 5, property(fetch_data)], ids=str)
def test_not_callable(impl, func):
    for decorate in (impl.timer, impl.timer()):
        with pytest.raises(TypeError, match="timer: wanted a callable, got"):
            decorate(func)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"printer": 5}, TypeError, "timer: printer: wanted a callable, got int"),
        ({"clock": 5}, TypeError, "timer: clock: wanted a callable, got int"),
        ({"logger": 5}, TypeError, "timer: logger: wanted a logger or the name of one, got int"),
        ({"logger": logging.Logger}, TypeError, "timer: logger: wanted a logger .* got type"),
        (
            {"level": 1.5},
            TypeError,
            "timer: level: wanted an int or the name of a level, got float",
        ),
        ({"level": True}, TypeError, "timer: level: wanted an int or the name .* got bool"),
        ({"level": "LOUD"}, ValueError, "timer: level: there is no level 'LOUD'"),
        ({"printer": print, "logger": "a"}, TypeError, "timer: wanted a printer or a logger"),
        ({"printer": print, "level": 10}, TypeError, "timer: wanted a printer or a logger"),
        ({"other": 1}, TypeError, "other"),
    ],
)
def test_bad_options(impl, options, error, text):
    with pytest.raises(error, match=text):
        impl.timer(**options)
    with pytest.raises(error, match=text):
        impl.timer(fetch_data, **options)


def test_options_only_by_keyword(impl):
    with pytest.raises(TypeError):
        impl.timer(fetch_data, print)


# ---- memory


def test_memory(native):
    wrapped = native.timer(fetch_data)
    assert sys.getsizeof(wrapped) <= 128


def test_collected(impl):
    def func(): ...

    func.me = impl.timer(func, printer=func, clock=func)
    ref = weakref.ref(func.me)
    del func
    gc.collect()
    assert ref() is None
