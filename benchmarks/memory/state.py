"""The state that workers share: what an application loads at its start, of a given size.

Half of it is JSON, as from a file or a database: nested dicts and lists. The rest is objects with
and without slots, texts by name, and lists of numbers. The same count gives the same state.
"""

from __future__ import annotations

import importlib
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: Records in one batch, and words to draw from.
BATCH = 400
WORDS = 5000
#: What an application of this kind imports; those that are installed.
LIBRARIES = ("asyncio", "decimal", "email.message", "flask", "http.client", "pydantic", "sqlite3")


@dataclass
class Customer:
    number: int
    name: str
    address: str
    score: float
    tags: list[str]


@dataclass(slots=True)
class Item:
    number: int
    code: str
    price: float
    stock: int


@dataclass
class State:
    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    customers: list[Customer] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)
    integers: list[int] = field(default_factory=list)
    floats: list[float] = field(default_factory=list)


def kilobytes(process: int | str = "self") -> dict[str, int]:
    """The lines of `smaps_rollup`."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]
    return {line.split(":")[0]: int(line.split()[1]) for line in lines}


def libraries() -> list[str]:
    """Import what an application would have imported; what was there."""
    found = []
    for name in LIBRARIES:
        try:
            importlib.import_module(name)
        except ImportError:
            continue
        found.append(name)
    return found


def _batches(chance: random.Random) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    words = [f"w{chance.getrandbits(40):x}" for _ in range(WORDS)]
    first = 0
    while True:
        yield (
            first,
            [
                {
                    "number": number,
                    "name": f"customer {number} {chance.choice(words)}",
                    "active": number % 3 == 0,
                    "balance": chance.random() * 1e6,
                    "address": {
                        "street": f"{number} {chance.choice(words)} street",
                        "town": chance.choice(words) + "ville",
                        "code": str(chance.randrange(10000, 99999)),
                        "place": [chance.random(), chance.random()],
                    },
                    "orders": [
                        {
                            "code": f"SKU-{chance.randrange(10**8):08}",
                            "count": chance.randrange(1, 2000),
                            "price": chance.random() * 100,
                            "note": None,
                        }
                        for _ in range(3)
                    ],
                    "tags": [chance.choice(words) for _ in range(4)],
                }
                for number in range(first, first + BATCH)
            ],
        )
        first += BATCH


def build(*, megabytes: float = 0, batches: int = 0) -> tuple[State, int]:
    """A state of so many batches, or of as many as grow this process by `megabytes`."""
    chance = random.Random(20_260_326)
    state = State()
    before = kilobytes()["Anonymous"]
    count = 0
    for first, records in _batches(chance):
        if count >= batches > 0:
            break
        if not batches and kilobytes()["Anonymous"] - before >= megabytes * 1024:
            break
        _add(state, first, records, chance)
        count += 1
    return state, count


def _add(state: State, first: int, records: list[dict[str, Any]], chance: random.Random) -> None:
    for record in json.loads(json.dumps(records)):
        state.records[f"k{record['number']}"] = record
    for number in range(first, first + BATCH // 2):
        state.customers.append(
            Customer(
                number + 10**5,
                f"customer {number}",
                f"c{number}@example.org",
                chance.random(),
                [f"t{number % 300}", f"u{number}"],
            )
        )
        state.items.append(
            Item(number + 5000, f"SKU{number:09}", chance.random() * 50, number * 7 + 300)
        )
        state.texts[f"text.{number}.title"] = f"text number {number}: {chance.random()}"
    state.integers.extend(range(first * 1000 + 10**6, first * 1000 + 10**6 + BATCH))
    state.floats.extend(chance.random() for _ in range(BATCH))


def read(state: State) -> int:
    """Read everything, down to each number and text; a sum that depends on all of it."""
    total = 0
    waiting: list[Any] = [state.records]
    while waiting:
        item = waiting.pop()
        if type(item) is dict:
            for key, value in item.items():
                total += len(key)
                kind = type(value)
                if kind is dict or kind is list:
                    waiting.append(value)
                elif kind is str:
                    total += len(value)
        else:
            for value in item:
                kind = type(value)
                if kind is dict or kind is list:
                    waiting.append(value)
                elif kind is str:
                    total += len(value)
    score = 0.0
    for customer in state.customers:
        total += customer.number + len(customer.name) + len(customer.address)
        total += len(customer.tags[1])
        score += customer.score
    for thing in state.items:
        total += thing.number + len(thing.code) + thing.stock
        score += thing.price
    for key, text in state.texts.items():
        total += len(key) + len(text)
    return total + sum(state.integers) + int(1e3 * (score + sum(state.floats)))


class Node:
    """Part of a cycle."""

    def __init__(self, number: int) -> None:
        self.me = self
        self.parts = {"number": number, "text": f"x{number}", "list": [number, number + 1]}


def garbage(rounds: int = 3, count: int = 60_000) -> None:
    """Make cycles, with the collector at work; a tenth of each round lives until its end."""
    for _ in range(rounds):
        kept = [node for number in range(count) if (node := Node(number)) and number % 10 == 0]
        del kept
