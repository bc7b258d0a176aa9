"""Checks of object lifetime: leaks, failed allocations, sub-interpreters, threads.

no_leak(fn)                 reference counts of all heap types exactly unchanged
walk_oom(code)              fail every allocation once: MemoryError or success, nothing else
in_subinterpreter(code)     import, use and destroy, several times
run_threads(fn)             the same call in several threads, started together
covers / uncovered          which callables have a success and an error case above
"""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib.machinery
import importlib.util
import signal
import subprocess
import sys
import textwrap
import threading
import types
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import ModuleType
from typing import TypeVar

import pytest

F = TypeVar("F", bound=Callable[..., object])

#: Blocks that caches of the interpreter may gain in 1,000 calls.
SLACK_BLOCKS = 16

_repeating = False
_walked: dict[tuple[str, str], int] = {}


@contextlib.contextmanager
def repetition() -> Iterator[None]:
    """While --refleak repeats a test: checks in a process of their own ran once, that will do."""
    global _repeating
    _repeating = True
    try:
        yield
    finally:
        _repeating = False


def total_references() -> int:
    """All references there are, on a debug build; else 0."""
    count: Callable[[], int] = getattr(sys, "gettotalrefcount", int)
    return count()


def native_modules() -> list[ModuleType]:
    """The extension modules of ferrule that are loaded."""
    return [
        module
        for name, module in sorted(sys.modules.items())
        if name.startswith("ferrule._")
        and isinstance(module.__spec__, importlib.machinery.ModuleSpec)
        and isinstance(module.__spec__.loader, importlib.machinery.ExtensionFileLoader)
    ]


def heap_types(modules: Iterable[ModuleType]) -> list[type]:
    """Types among the modules' attributes, types of these attributes, all bases and subclasses."""
    found: dict[type, None] = {}
    for module in modules:
        for value in vars(module).values():
            own = value if isinstance(value, type) else type(value)
            for cls in (*own.__mro__, type(own)):
                if cls.__module__ != "builtins":
                    found[cls] = None
    waiting = list(found)
    while waiting:
        for cls in type.__subclasses__(waiting.pop()):
            if cls not in found:
                found[cls] = None
                waiting.append(cls)
    return list(found)


# ---- leaks


def _settle() -> None:
    for _ in range(3):
        gc.collect()


def no_leak(
    fn: Callable[[], object],
    *,
    rounds: int = 1000,
    raises: type[BaseException] | None = None,
    modules: Iterable[ModuleType] | None = None,
) -> None:
    """Fail if calling `fn` leaves anything behind: with `raises`, a call that raises it.

    Reference counts of all heap types of `modules` (default: every loaded extension module of
    ferrule) and of all their subclasses must be exactly what they were, allocated blocks within a
    handful, and on a debug build of Python the total of all references within that handful too.
    """
    call = fn if raises is None else functools.partial(_expect, fn, raises)
    watched = heap_types(native_modules() if modules is None else modules)
    for _ in range(max(3, rounds // 10)):
        call()
    gc.collect()
    gc.freeze()  # collections look at what the calls leave, not at all that the tests have made
    # A cache of the interpreter may fill up late: whoever leaks, leaks every time.
    try:
        for _ in range(3):
            leaks = _left_behind(call, rounds, watched)
            if not leaks:
                return
    finally:
        if _repeating:  # else conftest does, before the next module
            gc.unfreeze()
    pytest.fail(f"after {rounds} calls: {'; '.join(leaks)}")


def _left_behind(call: Callable[[], object], rounds: int, watched: list[type]) -> list[str]:
    before = array("q", bytes(8 * len(watched)))
    after = array("q", bytes(8 * len(watched)))
    _settle()
    _reference_counts(watched, before)
    references, blocks = total_references(), sys.getallocatedblocks()
    for _ in range(rounds):
        call()
    _settle()
    more_blocks = sys.getallocatedblocks() - blocks
    more_references = total_references() - references
    _reference_counts(watched, after)
    leaks = [
        f"{cls.__qualname__}: {old} -> {new} references"
        for cls, old, new in zip(watched, before, after, strict=True)
        if old != new
    ]
    if more_blocks > SLACK_BLOCKS:
        leaks.append(f"{more_blocks} blocks more")
    if more_references > SLACK_BLOCKS:
        leaks.append(f"{more_references} references more")
    return leaks


def _reference_counts(watched: list[type], counts: array[int]) -> None:
    for i in range(len(watched)):
        counts[i] = sys.getrefcount(watched[i])


def _expect(fn: Callable[[], object], raises: type[BaseException]) -> None:
    try:
        fn()
    except raises:
        return
    pytest.fail(f"did not raise {raises.__name__}")


# ---- processes of their own


def _child(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", program, *arguments],
        capture_output=True,
        text=True,
        timeout=300,
    )


def _check(what: str, done: subprocess.CompletedProcess[str]) -> None:
    if done.returncode:
        signal = f" (signal {-done.returncode})" if done.returncode < 0 else ""
        output = (done.stdout + done.stderr).strip()
        pytest.fail(f"{what}: exit {done.returncode}{signal}\n{output[-4000:]}", pytrace=False)


_WALK = """
import gc, re, sys, types, _testcapi

def is_ours(error):
    # a function of the standard library had no memory to raise: CPython's own SystemError
    found = re.match("<function .* at (0x[0-9a-f]+)> returned NULL", str(error))
    return not found or not any(
        id(thing) == int(found[1], 16) and thing.__module__ in sys.stdlib_module_names
        for thing in gc.get_objects() if type(thing) is types.FunctionType
    )

setup, code = (compile(text, name, "exec") for text, name in zip(sys.argv[1:], ("setup", "code")))
space = {"__name__": "walk"}
exec(setup, space)
for _ in range(3):
    exec(code, dict(space))
at = failed = quiet = 0
while quiet < 40:
    own = dict(space)
    gc.collect()
    _testcapi.set_nomemory(at, at + 1)
    try:
        exec(code, own)
    except MemoryError:
        failed += 1
        quiet = 0
    except BaseException as error:
        _testcapi.remove_mem_hooks()
        if type(error) is not SystemError or is_ours(error):
            print("failing allocation", at, flush=True)
            raise
        failed += 1
        quiet = 0
    else:
        quiet += 1
    finally:
        _testcapi.remove_mem_hooks()
    at += 1
    if at > 20_000:
        sys.exit("no end after 20,000 allocations")
exec(code, dict(space))
print(failed)
"""


#: What a debug build says then.
_ABORTS = (
    "SystemError: <function ",
    "_PyEval_EvalFrameDefault: Assertion `STACK_LEVEL()",
    "_PyEval_EvalFrameDefault: Assertion `_PyErr_Occurred(tstate)'",
    "_PyUnicode_NONCOMPACT_DATA: Assertion",  # a subclass of str was being made
)


def walk_oom(code: str, *, setup: str = "") -> int:
    """Run `code` with its first allocation failing, then the second, and so on to its last.

    Every run must succeed or raise MemoryError, and `code` must work again afterwards. It runs in
    a process of its own, after `setup` and three runs without a failure: imports and caches are
    warm. Skips where CPython's `_testcapi` is not installed. Returns how many runs failed.
    """
    if _repeating:
        return _walked.get((code, setup), 1)
    if importlib.util.find_spec("_testcapi") is None:
        pytest.skip("_testcapi is not installed with this Python")
    done = _child(_WALK, textwrap.dedent(setup), textwrap.dedent(code))
    if done.returncode == -signal.SIGABRT and any(text in done.stderr for text in _ABORTS):
        pytest.skip("a debug build aborts where a function of Python has no memory to raise")
    _check("walk_oom", done)
    _walked[code, setup] = failed = int(done.stdout.split()[-1])
    return failed


_INTERPRETERS = """
import sys
if sys.version_info >= (3, 13):
    import _interpreters as interpreters
    def create(own):
        return interpreters.create("isolated" if own else "legacy")
else:
    import _xxsubinterpreters as interpreters
    def create(own):
        return interpreters.create(isolated=own)

own, code = sys.argv[1] == "own", sys.argv[2]
for _ in range(4):
    # two at a time, so that what one leaves behind would meet the other
    pair = [create(own), create(own)]
    for interpreter in pair:
        error = interpreters.run_string(interpreter, code)
        if error is not None:
            sys.exit(f"{error.type.__name__}: {error.msg}\\n{getattr(error, 'errdisplay', '')}")
    for interpreter in pair:
        interpreters.destroy(interpreter)
exec(compile(code, "main", "exec"), {"__name__": "main"})
"""


def in_subinterpreter(code: str) -> None:
    """Import-use-destroy: run `code` in several sub-interpreters, then in the main one.

    Twice: with the main interpreter's lock, and, from 3.12 on, with a lock of their own. In a
    process of its own.
    """
    if _repeating:
        return
    for lock in ("shared", "own") if sys.version_info >= (3, 12) else ("shared",):
        _check(f"sub-interpreter, {lock} lock", _child(_INTERPRETERS, lock, textwrap.dedent(code)))


# ---- threads


def run_threads(fn: Callable[[], object], n: int = 8, *, timeout: float = 120) -> None:
    """Call `fn` in `n` threads that start together; raise what they raised."""
    barrier = threading.Barrier(n)
    errors: list[Exception] = []

    def work() -> None:
        try:
            barrier.wait(timeout)
            fn()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(n)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout)
    finally:
        sys.setswitchinterval(interval)
    if any(thread.is_alive() for thread in threads):
        pytest.fail(f"threads still run after {timeout} seconds")
    if errors:
        raise ExceptionGroup("in threads", errors)


# ---- completeness

#: "success" and "error" -> names of callables with such a case
_CASES: dict[str, set[str]] = {"success": set(), "error": set()}


def covers(*names: str, error: bool = False) -> Callable[[F], F]:
    """Register a test as the success case (or `error` case) of the callables named.

    A name is a function or type of a native module, or `Type.method`.
    """
    _CASES["error" if error else "success"].update(names)
    return lambda test: test


_CALLABLES = (
    types.BuiltinFunctionType,
    types.ClassMethodDescriptorType,
    types.FunctionType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    classmethod,
    staticmethod,
)


def public_callables(module: ModuleType) -> set[str]:
    """Functions, types and methods defined by a native module: "f", "T", "T.method".

    Dunder methods that a type itself defines count; `__new__` is covered by the type.
    """
    names: set[str] = set()
    for name, value in vars(module).items():
        if name.startswith("_") or not callable(value):
            continue
        names.add(name)
        if isinstance(value, type) and value.__module__ != "builtins":
            names.update(f"{name}.{method}" for method in _methods(value))
    return names


def _methods(cls: type) -> Iterator[str]:
    for name, value in vars(cls).items():
        dunder = name.startswith("__") and name.endswith("__") and name != "__new__"
        if (dunder or not name.startswith("_")) and isinstance(value, _CALLABLES):
            yield name


def uncovered(module: ModuleType, *, infallible: Mapping[str, str] | None = None) -> set[str]:
    """What `module` offers and no test imported so far `covers`: "name (success)", "name (error)".

    `infallible` maps names that have no error case to the reason. A name registered or listed that
    the module does not have (any more) is reported as well, as "name (unknown)".
    """
    reasons = infallible or {}
    names = public_callables(module)
    gaps = {f"{name} (success)" for name in names - _CASES["success"]}
    gaps |= {f"{name} (error)" for name in names - _CASES["error"] - set(reasons)}
    gaps |= {f"{name} (unknown)" for name in set(reasons) - names}
    return gaps
