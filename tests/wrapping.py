"""What the lifetime tests of wrappers share: source that runs in a process of its own, or here."""

from __future__ import annotations

import functools
from collections.abc import Callable

#: Functions to decorate and ways to call them.
FUNCTIONS = """
import gc
from ferrule.calls import counted, logged, timer

def add(a=1, b=2):
    return a

def fail(*args):
    raise ValueError

async def later(x):
    await Pause()
    return 1 // x

class Pause:
    def __await__(self):
        yield 1

class Unprintable:
    def __repr__(self):
        raise ValueError

class Undecided:
    def __bool__(self):
        raise ValueError

def drive(coroutine):
    try:
        while True:
            coroutine.send(None)
    except StopIteration as end:
        return end.value

def guarded(function, *args):
    try:
        function(*args)
    except SystemError as error:  # as in refuse
        if not str(error).startswith("error return without"):
            raise
        raise MemoryError from None

def nothing(*args):
    pass

def refuse(function, *args, **kwargs):
    try:
        function(*args, **kwargs)
    except (TypeError, ValueError, ZeroDivisionError):
        return
    except SystemError as error:
        # a function of Python's that finds no memory to raise what it wants to
        if not str(error).startswith(("<function", "error return without")):
            raise
        raise MemoryError from None
    raise AssertionError("not refused")
"""

#: A logger that needs no memory of its own, and one that takes nothing.
LOGGERS = """
import logging

class Loud:
    enabled = True

    def isEnabledFor(self, level):
        return self.enabled

    def log(self, level, text, *args):
        text % args

loud, quiet = Loud(), logging.getLogger("quiet")
quiet.setLevel(50)
"""


def ready(code: str, setup: str) -> Callable[[], None]:
    """`code`, to be run as often as wanted after `setup`."""
    space = {"__name__": "ready"}
    exec(setup, space)
    return functools.partial(exec, compile(code, "case", "exec"), space)
