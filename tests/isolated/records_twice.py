"""The extension imported twice in one process: two modules, each with types of its own."""

import contextlib
import gc
import importlib
import sys

first = importlib.import_module("ferrule.records")


class A(first.Record):  # type: ignore[misc, name-defined]
    x: first.i64  # type: ignore[name-defined]
    y: object = None


made = A(1, [2])
for name in [name for name in sys.modules if name.split(".")[0] == "ferrule"]:
    del sys.modules[name]
second = importlib.import_module("ferrule.records")
assert first is not second


class B(second.Record):  # type: ignore[misc, name-defined]
    x: second.i64  # type: ignore[name-defined]
    y: object = None


other = B(1, [2])
assert made != other and repr(made) == "A(x=1, y=[2])" and repr(other) == "B(x=1, y=[2])"
for function, argument in ((first.asdict, other), (second.asdict, made)):
    with contextlib.suppress(TypeError):
        function(argument)
del first, A
gc.collect()
made.y = made
made.x = 5
assert made.x == 5
del made
gc.collect()
