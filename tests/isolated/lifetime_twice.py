"""The extension imported twice in one process: two modules, each with a registry of its own."""

import gc
import importlib
import sys
import weakref


class A:
    pass


ran: list[str] = []
first = importlib.import_module("ferrule.lifetime")


class Own(first.Finalizable):  # type: ignore[misc, name-defined]
    def __finalize__(self) -> None:
        ran.append("own")


obj, own = A(), Own()
old = first.finalize(obj, ran.append, "first")
for name in [name for name in sys.modules if name.split(".")[0] == "ferrule"]:
    del sys.modules[name]
second = importlib.import_module("ferrule.lifetime")
assert first is not second and first.finalize is not second.finalize


class Other(second.Finalizable):  # type: ignore[misc, name-defined]
    def __finalize__(self) -> None:
        ran.append("other")


new, other = second.finalize(obj, ran.append, "second"), Other()
try:
    old.__callback__(new)
except TypeError:
    pass
else:
    raise AssertionError("the callback of one took a finalizer of the other")
ref = weakref.ref(first.finalize)
del first, Own, old
gc.collect()
assert ref() is not None  # what lives keeps its module
del obj, own, other
gc.collect()
assert ran == ["second", "first", "own", "other"], ran
assert not new.alive

# A module that goes while dead finalizers are in the same garbage.
for _ in range(3):
    for name in [name for name in sys.modules if name.split(".")[0] == "ferrule"]:
        del sys.modules[name]
    module = importlib.import_module("ferrule._lifetime")
    module.finalize.__name__  # noqa: B018
    kept = [module.finalize.__new__(module.finalize, A) for _ in range(3)]
    module.kept, module.me = kept, module  # type: ignore[attr-defined]
    del module, kept
    gc.collect()
