"""Random layouts and buffers: the native part and its twin agree, a million times over.

    python tests/wire/agree.py 1000000 [seed]

compares so many results and prints how many of each function agreed, or the first that did not.
"""

from __future__ import annotations

import collections
import importlib
import operator
import pprint
import sys
import types
from random import Random
from typing import Any

import layouts
from layouts import Built, Described

#: Buffers for each layout: making classes takes longer than reading packets.
BUFFERS = 200
WRONG = (None, "x", b"", b"abc", -1, 2**70, 1.5, (), (1, 2), [1], layouts.Color.RED, True)


class Difference(AssertionError):
    """What to look at."""


class Pair:
    """A layout in both implementations."""

    def __init__(self, random: Random, impls: list[types.ModuleType], described: Described) -> None:
        self.random, self.impls, self.described = random, impls, described
        self.built = [Built(impl, described) for impl in impls]
        self.agreed: collections.Counter[str] = collections.Counter()

    def compare(self, what: str, outcomes: list[Any], *shown: Any) -> Any:
        """The outcome, if it is one."""
        if outcomes[0] != outcomes[1]:
            names = [impl.__name__ for impl in self.impls]
            text = [f"{name}: {one}" for name, one in zip(names, outcomes, strict=True)]
            described = pprint.pformat(self.described, width=150)
            raise Difference("\n".join([f"{what} {shown}", described, *text]))
        self.agreed[what] += 1
        return outcomes[0]

    def each(self, what: str, call: Any, *shown: Any) -> Any:
        return self.compare(what, [layouts.outcome(call, built) for built in self.built], *shown)

    def packet(self) -> bytes:
        """One that fits together, packed alike by both."""
        values = layouts.values(self.random, self.described)
        records = [built.record(self.described, values) for built in self.built]
        packed = [
            layouts.outcome(built.impl.pack, record)
            for built, record in zip(self.built, records, strict=True)
        ]
        self.compare("pack", packed, values)
        try:
            data: bytes = self.built[1].impl.pack(records[1])
        except (TypeError, ValueError, OverflowError):
            return self.random.randbytes(20)  # an Enum without a member that fits
        return data

    def wrong_records(self) -> None:
        """A field has a value that does not fit, or not with the others."""
        values = layouts.values(self.random, self.described)
        field = self.random.choice(self.described.fields)
        wrong = self.random.choice(
            (*WRONG, layouts.values(self.random, self.described)[field.name])
        )
        outcomes = []
        for built in self.built:
            record = built.record(self.described, values)
            try:
                setattr(record, field.name, built.value(field, wrong))
            except (TypeError, ValueError, OverflowError):
                return  # a record does not even keep it
            outcomes.append(layouts.outcome(built.impl.pack, record))
        self.compare("pack wrong", outcomes, values, field.name, wrong)

    def unpack(self, data: bytes) -> None:
        offset = self.random.choice((0, 0, 0, 1, 3))
        buffer = self.random.choice((bytes, bytearray))(b"\xaa" * offset + data)
        found = self.each("unpack", lambda b: b.impl.unpack(b.cls, buffer, offset), buffer, offset)
        if found[0] == "value" and not layouts.has_nan(found):
            self.each("repack", lambda b: b.impl.pack(b.impl.unpack(b.cls, data)), data)

    def view(self, data: bytes) -> None:
        if self.each("view", lambda b: b.impl.view(b.cls, data) and 0, data)[0] != "value":
            return
        for field in self.described.fields:
            read = operator.attrgetter(field.name)
            self.each("view read", _viewed(read, data), data, field.name)
        found = self.each("view repr", lambda b: repr(b.impl.view(b.cls, data)), data)
        if not layouts.has_nan(found):
            self.each("view pack", lambda b: b.impl.pack(b.impl.view(b.cls, data)), data)
        self.each("view bytes", lambda b: bytes(b.impl.view(b.cls, data)), data)

    def write(self, data: bytes) -> None:
        """A field is set in place, to what may fit."""
        field = self.random.choice(self.described.fields)
        values = layouts.values(self.random, self.described)
        value: Any = values[field.name] if self.random.random() < 0.7 else self.random.choice(WRONG)

        def written(built: Built) -> Any:
            buffer = bytearray(data)
            try:
                view = built.impl.view(built.cls, buffer)
                setattr(view, field.name, built.value(field, value))
            except (TypeError, ValueError, OverflowError) as error:
                return buffer, layouts.said(error)
            return buffer

        self.each("view write", written, data, field.name, value)

    def many(self, packets: list[bytes]) -> None:
        data = b"".join(self.random.choice(packets) for _ in range(self.random.randrange(6)))
        if self.random.random() < 0.5:
            data = layouts.damaged(self.random, data)
        self.each("index_many", lambda b: b.impl.index_many(b.cls, data), data)
        on_error = self.random.choice(("raise", "skip", "report"))
        most = self.random.choice((0, 1, 1000))

        def read(built: Built) -> Any:
            try:
                found = built.impl.unpack_many(built.cls, data, on_error=on_error, max_errors=most)
            except TypeError:
                return "TypeError"  # shows the annotation, which differs
            errors: list[Any] = []
            if on_error == "report":
                found, errors = found
            return list(found), [layouts.said(error) for error in errors]

        self.each("unpack_many", read, data, on_error, most)

    def run(self, buffers: int, *, flat: bool) -> None:
        packets = [self.packet() for _ in range(max(2, min(10, buffers // 10)))]
        for _ in range(buffers):
            data = layouts.damaged(self.random, self.random.choice(packets))
            self.unpack(data)
            choice = self.random.randrange(8)
            if choice == 0:
                self.view(data)
            elif choice == 1:
                self.write(data)
            elif choice == 2:
                self.wrong_records()
            elif choice == 3 or (choice == 4 and flat):
                self.many(packets)


def _viewed(read: Any, data: bytes) -> Any:
    return lambda built: read(built.impl.view(built.cls, data))


def run(native: types.ModuleType, count: int, seed: int) -> collections.Counter[str]:
    """How often each function agreed; count times together, or somewhat more."""
    random = Random(seed)
    twin = importlib.import_module("ferrule.pure.wire")
    agreed: collections.Counter[str] = collections.Counter()
    while sum(agreed.values()) < count:
        flat = random.random() < 0.3
        pair = Pair(random, [native, twin], layouts.draw(random, flat=flat))
        try:
            pair.run(min(BUFFERS, count), flat=flat)
        except Difference as error:
            raise Difference(f"seed {seed}, {agreed.total()} agreed, then {error}") from None
        agreed += pair.agreed
    return agreed


def main(arguments: list[str]) -> None:
    count = int(arguments[0]) if arguments else 10_000
    seed = int(arguments[1]) if len(arguments) > 1 else Random().randrange(1 << 32)
    agreed = run(importlib.import_module("ferrule.wire"), count, seed)
    for name, times in sorted(agreed.items()):
        print(f"{name:12} {times:>12,}")
    print(f"{'agreed':12} {agreed.total():>12,}  seed {seed}")


if __name__ == "__main__":
    main(sys.argv[1:])
