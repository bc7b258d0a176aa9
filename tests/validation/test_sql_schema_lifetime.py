"""sql_schema: nothing leaks, and no failed allocation does harm."""

from typing import Any

import pytest

from lifetime import covers, in_subinterpreter, no_leak, run_threads, walk_oom

SETUP = """
import enum
import datetime, decimal, uuid
from typing import Annotated, Literal
from ferrule._validation import (
    Doc, Ge, Gt, Le, MaxLength, MinLength, MultipleOf, Predicate, Regex, sql_schema,
)

class Color(enum.Enum):
    RED = "red"
    BLUE = "it's"

class Everything:
    a: Annotated[int, Ge(0), Le(2.5), MultipleOf(2)] = 2
    b: Annotated[str, MinLength(1), MaxLength(9), Doc("of 'b'")] = "it's"
    c: Annotated[float, Gt(0.5)] | None = None
    d: Color = Color.RED
    e: Literal[1, 2]
    f: Annotated[decimal.Decimal, Ge(decimal.Decimal("1.5"))]
    g: Annotated[datetime.datetime, Ge(datetime.datetime(2020, 1, 1))]
    h: datetime.date = datetime.date(2020, 1, 1)
    i: uuid.UUID
    j: Annotated[list[int], MinLength(1)]
    k: dict[str, int]
    l: bytes = b"a"
    m: datetime.timedelta = datetime.timedelta(1)
    n: Annotated[str, Regex("^[a-z]+$")]
    o: Annotated[int, Predicate(bool)]
    p: bool = True

class Bad:
    x: complex

class Kept:
    x: int

def refuse(*args, **kwargs):
    try:
        sql_schema(*args, **kwargs)
    except (TypeError, ValueError):
        return
    raise AssertionError("not refused")

def guarded(*args, **kwargs):
    try:
        sql_schema(*args, **kwargs)
    except SystemError as error:
        # what CPython itself raises when a function of Python finds no memory
        if "without" not in str(error):
            raise
        raise MemoryError from None

def fresh():
    class Local:
        x: Annotated[int, Ge(0)]
    return Local

for dialect in ("sqlite", "postgresql"):
    sql_schema(Everything, dialect=dialect, table="a"), sql_schema(Kept, dialect=dialect)
"""
SUCCESSES = {
    "sqlite": "guarded(Everything, table='a\"b')",
    "postgresql": "guarded(Everything, dialect='postgresql', table='a\"b')",
    "kept": "sql_schema(Kept); sql_schema(Kept, dialect='postgresql')",
}
CLASSES = {"new class": "cls = fresh(); sql_schema(cls); sql_schema(cls, dialect='postgresql')"}
ERRORS = {
    "arguments": "refuse(); refuse(5); refuse(Kept, dialect='a'); refuse(Kept, table=5)",
    "names": "refuse(Kept, table=''); refuse(Kept, table='a\\0'); refuse(Kept, table='\\ud800')",
    "types": "refuse(Bad); refuse(int)",
}
CASES = {**SUCCESSES, **{f"error: {name}": code for name, code in ERRORS.items()}}


def ready(case: str) -> Any:
    space: dict[str, Any] = {"__name__": "case"}
    exec(SETUP, space)
    code = compile({**CASES, **CLASSES}[case], "case", "exec")
    return lambda: exec(code, space)


@covers("sql_schema")
@covers("sql_schema", error=True)
@pytest.mark.parametrize("case", [*CASES, *CLASSES])
def test_no_leak(case):
    call = ready(case)
    for _ in range(300 if case in CLASSES else 2000):  # caches of the interpreter fill slowly
        call()
    no_leak(call, rounds=100 if case in CLASSES else 200)


@pytest.mark.parametrize("case", CASES)
def test_every_allocation_fails_once(case):
    walk_oom(CASES[case], setup=SETUP)


def test_in_subinterpreters():
    # CPython's own modules do not survive interpreters with their own lock
    left_out = ("datetime", "decimal", "uuid")
    plain = [line for line in SETUP.split("\n") if not any(name in line for name in left_out)]
    in_subinterpreter("\n".join([*plain, *CASES.values(), *CLASSES.values()]))


@pytest.mark.parametrize("case", [*SUCCESSES, *CLASSES])
def test_in_threads(case):
    call = ready(case)
    run_threads(lambda: [call() for _ in range(20)], 4)
