"""The speed of ordinary code over a frozen state, against a process that froze nothing.

Two processes build the same state with the same hash seed; one freezes. Then they run the same
loops in turn, round by round in a random order, each for a few milliseconds of CPU time; a ratio
is taken within a round. Where objects happen to lie differs from process to process, so there are
several pairs, and pairs that both froze nothing show what that alone makes of a ratio.

`python -m benchmarks.memory.micro STRATEGY BATCHES` is one of the two processes.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Self

from benchmarks.memory import state as states
from benchmarks.memory.forked import STRATEGIES
from benchmarks.memory.state import State

BATCHES = 17  # about 20 MB
ROUND_NS = 4_000_000


def loops(state: State) -> dict[str, Callable[[], int]]:
    """The loops by name; each gives a number, the same in every process."""
    texts = list(state.texts.values())
    keys = list(state.records)

    def attribute_reads() -> int:
        total = 0
        for customer in state.customers:
            total += customer.number
            customer.name, customer.address  # noqa: B018
        return total

    def slot_reads() -> int:
        total = 0
        for item in state.items:
            total += item.stock
            item.code, item.price  # noqa: B018
        return total

    def iteration() -> int:
        count = 0
        for _ in texts:
            count += 1
        return count

    def integers() -> int:
        return sum(state.integers)

    def join() -> int:
        return len("".join(texts))

    def copy() -> int:
        return len(list(texts))

    def sort() -> int:
        return len(sorted(texts))

    def dict_build() -> int:
        return len([{"number": 1, "text": text} for text in texts])

    def nested_reads() -> int:
        total = 0
        for key in keys:
            record = state.records[key]
            total += len(record["name"]) + len(record["address"]["place"])
        return total

    def builtin_calls() -> int:
        call, given, total = len, texts, 0
        for _ in range(5000):
            total += call(given)
        return total

    def method_calls() -> int:
        total = 0
        for text in texts:
            total += text.startswith("text")
        return total

    def full_walk() -> int:
        return states.read(state)

    return {
        "attribute reads": attribute_reads,
        "slot reads": slot_reads,
        "iteration": iteration,
        "sum of ints": integers,
        "join": join,
        "list copy": copy,
        "sort": sort,
        "dict build": dict_build,
        "nested dict reads": nested_reads,
        "built-in calls": builtin_calls,
        "method calls": method_calls,
        "full walk": full_walk,
    }


def child() -> None:
    """Answer "NAME PASSES" with nanoseconds and the result."""
    states.libraries()
    state, _ = states.build(batches=int(sys.argv[2]))
    table = loops(state)
    STRATEGIES[sys.argv[1]]()
    print("ready", flush=True)
    for line in sys.stdin:
        name, passes = json.loads(line)
        loop = table[name]
        result = 0
        began = time.process_time_ns()
        for _ in range(passes):
            result = loop()
        taken = time.process_time_ns() - began
        print(json.dumps([taken / passes, result]), flush=True)


class Half:
    """One process of a pair."""

    def __init__(self, strategy: str, batches: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.memory.micro", strategy, str(batches)],
            env={**os.environ, "PYTHONHASHSEED": "0"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def __enter__(self) -> Self:
        self._answer()
        return self

    def __exit__(self, *_: object) -> None:
        with self.process:
            pass

    def _answer(self) -> str:
        assert self.process.stdout
        line = self.process.stdout.readline().strip()
        if not line:
            raise SystemExit("a process of the micro suite died")
        return line

    def time(self, name: str, passes: int) -> tuple[float, int]:
        """Nanoseconds of one pass, and what it gave."""
        assert self.process.stdin
        self.process.stdin.write(json.dumps([name, passes]) + "\n")
        self.process.stdin.flush()
        taken, result = json.loads(self._answer())
        return taken, result


def pair(second: str, rounds: int, seed: int, batches: int = BATCHES) -> Mapping[str, list[float]]:
    """Ratios of the rounds by loop: `second` over a process that froze nothing."""
    chance = random.Random(seed)
    ratios: dict[str, list[float]] = {}
    with Half("nothing", batches) as plain, Half(second, batches) as other:
        passes = {}
        for name in loops(State()):
            taken, wanted = min(plain.time(name, 1) for _ in range(3))
            passes[name] = max(1, round(ROUND_NS / taken))
            for _ in range(3):
                _, found = other.time(name, 1)
            if found != wanted:
                raise SystemExit(f"{name}: {found} instead of {wanted}")
        for _ in range(rounds):
            for name in chance.sample(sorted(passes), len(passes)):
                order = chance.sample([plain, other], 2)
                times = {half: half.time(name, passes[name])[0] for half in order}
                ratios.setdefault(name, []).append(times[other] / times[plain])
    return ratios


def measure(pairs: int, rounds: int) -> dict[str, Any]:
    """Ratios of all pairs, frozen and as a control."""
    found: dict[str, dict[str, list[float]]] = {"ferrule": {}, "nothing": {}}
    for number in range(pairs):
        for strategy, ratios in found.items():
            for name, values in pair(strategy, rounds, number).items():
                ratios.setdefault(name, []).extend(round(value, 4) for value in values)
    return found


if __name__ == "__main__":
    child()
