"""Fuzz the native packets: random layouts, and packets of theirs with bytes changed, cut, added.

    PYTHONPATH=python python tests/fuzz/fuzz_packet.py [count] [seed]

Nothing may happen but a record or the errors that are promised; what was read is written again,
and a packet of which nothing was changed is read as it was. With sanitizers it finds more: set
LD_PRELOAD as CONTRIBUTING.md says.
"""

import itertools
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "wire"))

import layouts  # noqa: E402

import ferrule.wire as wire  # noqa: E402

#: Bytes that lengths, counts, tags and text do not expect.
NASTY = (0, 1, 2, 3, 0x7F, 0x80, 0xC3, 0xFE, 0xFF)


def mutated(chance: random.Random, data: bytes) -> Iterator[bytes]:
    """The packet whole, cut, longer, and with some of its bytes changed."""
    yield data
    yield data[: chance.randrange(len(data) + 1)]
    yield data + chance.randbytes(chance.randrange(9))
    for _ in range(6):
        changed = bytearray(data) or bytearray(1)
        for _ in range(chance.choice((1, 1, 2, 8))):
            at = chance.randrange(len(changed))
            changed[at] = chance.choice((*NASTY, chance.randrange(256)))
        if chance.random() < 0.3:
            at = chance.randrange(len(changed) + 1)
            changed[at:at] = chance.randbytes(chance.randrange(5))
        yield bytes(changed)
    yield chance.randbytes(chance.randrange(64))


def read(chance: random.Random, cls: Any, data: bytes) -> Any:
    """The record, read from bytes and from a buffer with something before and after it."""
    offset = chance.choice((0, 0, 1, 7))
    whole = bytearray(b"\xa5" * offset + data)
    outcomes: list[Any] = []
    for buffer, at in ((data, 0), (memoryview(whole), offset)):
        try:
            outcomes.append(wire.unpack(cls, buffer, at))
        except wire.WireError as error:
            if not 0 <= error.offset - at <= len(data):
                raise AssertionError(f"offset {error.offset} of {len(data)}") from error
            outcomes.append((error.offset - at, str(error.wanted), str(error.had), error.where))
    failed = [isinstance(one, tuple) for one in outcomes]
    assert failed[0] == failed[1], outcomes
    assert not failed[0] or outcomes[0] == outcomes[1], outcomes
    return None if failed[0] else outcomes[0]


def has_odd_flags(described: layouts.Described) -> bool:
    """Flags of signed storage: a negative number is read as a positive one that does not fit."""
    inner = itertools.chain.from_iterable(
        (field.inner, *(field.cases or {}).values(), field.default) for field in described.fields
    )
    return any(
        field.tp is layouts.Mode and field.kind.startswith("i") for field in described.fields
    ) or any(has_odd_flags(one) for one in inner if isinstance(one, layouts.Described))


def write(record: Any, data: bytes, same: bool, odd: bool) -> None:
    """What was read is written as it was, unless text had more NULs than it needed."""
    try:
        packed = wire.pack(record)
    except OverflowError:
        if odd:
            return
        raise
    again = wire.pack(wire.unpack(type(record), packed))
    assert packed == again, (packed, again)
    if same:
        assert data.startswith(packed), (data, packed)
    room = bytearray(len(packed) + 2)
    assert wire.pack_into(record, room, 1) == len(packed)
    assert room == b"\0" + packed + b"\0"
    try:
        wire.pack_into(record, room, 3)
    except wire.WireError:
        assert room == b"\0" + packed + b"\0"


def one(seed: int) -> int:
    """Everything about one layout; how many packets were read."""
    chance = random.Random(seed)
    described = layouts.draw(chance)
    built = layouts.Built(wire, described)
    record = built.record(described, layouts.values(chance, described))
    try:
        wire.unpack(built.cls, b"")
    except wire.WireError:
        pass
    except TypeError:  # checksums that cover one another, say
        return 0
    try:
        data = wire.pack(record)
    except (TypeError, ValueError, OverflowError):
        data = chance.randbytes(40)
    count = 0
    for i, packet in enumerate(mutated(chance, data)):
        found = read(chance, built.cls, packet)
        if found is not None:
            write(found, packet, i == 0, has_odd_flags(described))
            count += 1
    return count


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    first = int(sys.argv[2]) if len(sys.argv) > 2 else time.time_ns() & 0xFFFFFFFF
    total = 0
    for seed in range(first, first + count):
        try:
            total += one(seed)
        except BaseException:
            print(f"seed {seed}", file=sys.stderr)
            raise
    print(f"{count} layouts from seed {first}, {total} packets read")


if __name__ == "__main__":
    main()
