"""Fixtures and options every test folder shares.

A test in tests/<area>/ that takes `impl` runs once with `ferrule.<area>` and once with its twin
`ferrule.pure.<area>`; `--impl` narrows that. `--refleak N` repeats every passing test N times and
wants references unchanged and, where no event loop runs, blocks not growing steadily; only a debug
build of Python counts references.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import inspect
import sys
import typing
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import hypothesis
import pytest
from _pytest.runner import runtestprotocol

import lifetime

TESTS = Path(__file__).parent
pytest_plugins = ("services",)  # its fixtures

hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, database=None)
hypothesis.settings.register_profile("deep", deadline=None, max_examples=5_000)
hypothesis.settings.load_profile("ci")


@dataclass(frozen=True)
class Implementation:
    """One of the two ways a room is implemented."""

    name: str
    package: str

    @property
    def native(self) -> bool:
        return self.name == "native"

    def load(self, area: str) -> ModuleType:
        """The area's module. A missing native module is an error, never a reason to skip."""
        return importlib.import_module(f"{self.package}.{area}")


IMPLEMENTATIONS = (
    Implementation("native", "ferrule"),
    Implementation("pure", "ferrule.pure"),
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--impl",
        choices=["all", *(impl.name for impl in IMPLEMENTATIONS)],
        default="all",
        help="which implementation the `impl` fixture gives (default: all)",
    )
    parser.addoption(
        "--refleak",
        type=int,
        default=0,
        metavar="N",
        help="repeat every test N times; references must not change",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "implementation" in metafunc.fixturenames:
        wanted = metafunc.config.getoption("--impl")
        chosen = [impl for impl in IMPLEMENTATIONS if wanted in ("all", impl.name)]
        metafunc.parametrize("implementation", chosen, ids=lambda impl: impl.name)


@pytest.fixture
def impl(implementation: Implementation, request: pytest.FixtureRequest) -> ModuleType:
    """The module under test: of the area that the test's folder is named after."""
    return implementation.load(request.path.relative_to(TESTS).parts[0])


@pytest.fixture(autouse=True, scope="module")
def _older_is_frozen() -> None:
    """Collections look at what a module's tests make, not at all that earlier ones have left."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()


# ---- --refleak

FINALIZERS = pytest.StashKey[list[list[Any]]]()


def pytest_collection_finish(session: pytest.Session) -> None:
    if session.config.getoption("--refleak"):
        session.config.stash[FINALIZERS] = [
            thing._finalizers for thing in gc.get_objects() if isinstance(thing, pytest.FixtureDef)
        ]


def _run(item: pytest.Item, nextitem: pytest.Item | pytest.Collector | None) -> Any:
    """Setup, call and teardown without reporting; the reports."""
    return runtestprotocol(item, log=False, nextitem=cast(Any, nextitem))


def _growth(item: pytest.Item, rounds: int) -> tuple[list[int], list[int]]:
    """References and blocks that each of the later half of the rounds adds."""
    # Every fixture of wider scope remembers each finished user of it: forget those of a round.
    remembered = item.config.stash[FINALIZERS]
    lengths = [len(finalizers) for finalizers in remembered]
    # arrays: the ints of a list would themselves be counted
    references = array("q", bytes(8 * rounds))
    blocks = array("q", bytes(8 * rounds))
    for i in range(rounds):
        _run(item, item.parent)  # tears down no more than the test
        for j in range(len(lengths)):
            del remembered[j][lengths[j] :]
        item._report_sections.clear()
        for clear in vars(typing)["_cleanups"]:  # its caches keep classes alive
            clear()
        for module in lifetime.native_modules():  # and so do ours, for a while
            getattr(module, "_forget", int)()
        gc.collect()
        gc.collect()
        references[i], blocks[i] = lifetime.total_references(), sys.getallocatedblocks()
    later = range(max(1, rounds // 2), rounds)
    return (
        [references[i] - references[i - 1] for i in later],
        [blocks[i] - blocks[i - 1] for i in later],
    )


@contextlib.contextmanager
def _event_loops() -> Iterator[list[int]]:
    """How many event loops were made meanwhile: the one item of a list."""
    made = [0]
    init = asyncio.BaseEventLoop.__init__

    def counted(self: asyncio.BaseEventLoop) -> None:
        made[0] += 1
        init(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio.BaseEventLoop, "__init__", counted)
        yield made


def _leak(item: pytest.Item, rounds: int) -> str:
    """What a repetition of the test leaves behind, or ""."""
    gc.collect()
    gc.freeze()  # the collections of each round look at what is new
    # A cache somewhere may fill up late: whoever leaks references, leaks three times over. Blocks
    # may grow by one in each of twenty rounds before they do not: whoever leaks them, leaks always.
    leaked = 0
    for series in range(10):
        with _event_loops() as loops:
            # pickle grows by a block in most rounds, for a while: the last series is a long one
            references, blocks = _growth(item, rounds if series < 9 else max(rounds, 40))
        if any(references):
            leaked += 1
            if leaked == 3:
                break
        # caches of the interpreter make blocks waver; a leak of memory is steady, but so is what
        # asyncio.run leaves after some thousand runs, a coroutine of Python's own in it
        elif loops[0] or min(blocks) <= 0 or min(blocks) < max(blocks):
            return ""
    return f"leak per round: references {references}, blocks {blocks}"


def _repeatable(item: pytest.Item) -> bool:
    """hypothesis, asyncio and type checkers keep books of their own, which grow.

    The lifetime tests repeat what they do themselves, and count. Tests of agreement define classes
    at random, by the hundred, and the interpreter's caches of them waver.
    """
    return isinstance(item, pytest.Function) and not (
        getattr(item.obj, "is_hypothesis_test", False)
        or inspect.iscoroutinefunction(item.obj)
        or item.get_closest_marker("slow")
        or item.get_closest_marker("processes")
        or item.path.stem.endswith(("_lifetime", "_hypothesis", "_agree"))
    )


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    rounds = item.config.getoption("--refleak")
    if not rounds or not _repeatable(item):
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reports = _run(item, item.parent)
    if all(report.passed for report in reports):
        with lifetime.repetition():
            leak = _leak(item, rounds)
        if leak:
            report = next(report for report in reports if report.when == "call")
            report.outcome, report.longrepr = "failed", leak
    # fixtures of wider scope that the next test does without
    wider = pytest.CallInfo.from_call(
        lambda: item.session._setupstate.teardown_exact(nextitem), when="teardown"
    )
    if wider.excinfo is not None:
        reports.append(pytest.TestReport.from_item_and_call(item, wider))
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True
