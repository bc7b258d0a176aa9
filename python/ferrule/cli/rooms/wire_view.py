"""Views made, sliced and let go; the article's packet, and its ten megabytes of five exporters.

`bytes` slices the exporter itself and so copies; memoryview is what the article does instead.
"""

from __future__ import annotations

import mmap
import random
from collections.abc import Sequence
from functools import partial
from multiprocessing.shared_memory import SharedMemory
from typing import Any

from ferrule.cli.load import Reading
from ferrule.cli.registry import Footprint, Implementation, Namespace, Operation, Room

#: Bytes of the article's packet and of its large buffer, of which half is taken.
PACKET, LARGE = 1_028, 10_000_000

_OURS = "from ferrule{}.wire import View, holders, parse_packet_zero_copy\n"

_NAIVE = """
def View(data):
    return data

def parse_packet_zero_copy(data):
    header = data[0:12]
    payload = data[12:1024]
    checksum = data[1024:1028]
    return header, payload, checksum
"""

_ARTICLE = """
View = memoryview

def parse_packet_zero_copy(data):
    view = memoryview(data)
    header = view[0:12]
    payload = view[12:1024]
    checksum = view[1024:1028]
    return header, payload, checksum
"""

_NUMPY = """
import numpy

def View(data):
    return numpy.frombuffer(data, "u1")

def parse_packet_zero_copy(data):
    view = numpy.frombuffer(data, "u1")
    return view[0:12], view[12:1024], view[1024:1028]
"""

_KEPT = """
def kept(rows):
    data = bytes(1028)
    return [View(data) for _ in rows]
"""

PURE = Implementation("pure", "pure", _OURS.format(".pure"), "", _KEPT)
NAIVE = Implementation("bytes", "article", "", "", _NAIVE)
ARTICLE = Implementation("memoryview", "article", "", "", _ARTICLE + _KEPT)
NUMPY = Implementation("NumPy", "peer", "", "", _NUMPY, needs="numpy")
NATIVE = Implementation("ferrule", "native", _OURS.format(""), "", _KEPT)


def _packets(namespace: Namespace, rows: Sequence[Reading]) -> None:
    chance = random.Random(7)
    packets = [chance.randbytes(PACKET) for _ in rows[:64]]
    namespace["packets"] = packets
    namespace["views"] = [namespace["View"](packet) for packet in packets]
    namespace["shared"] = [namespace["View"](bytearray(packet)) for packet in packets]


def _mapped() -> mmap.mmap:
    memory = mmap.mmap(-1, LARGE)
    memory[:] = b"\xa5" * LARGE
    return memory


def _shared() -> Any:
    """Unlinked at once: the memory goes with the last that maps it."""
    shared = SharedMemory(create=True, size=LARGE)
    shared.unlink()
    # its end would close it, and complain of the views: the process's end is enough
    shared.close = lambda: None  # type: ignore[method-assign]
    _KEEP.append(shared)
    memory: Any = shared.buf
    memory[:LARGE] = b"\xa5" * LARGE
    return memory[:LARGE]


def _array() -> Any:
    import numpy as np  # noqa: PLC0415  # a peer, which need not be there

    return np.full(LARGE, 0xA5, "u1")


#: Nobody closes what is measured.
_KEEP: list[SharedMemory] = []
_LARGE = {
    "bytes": lambda: b"\xa5" * LARGE,
    "bytearray": lambda: bytearray(b"\xa5") * LARGE,
    "mmap": _mapped,
    "NumPy": _array,
    "shared memory": _shared,
}
_made: dict[str, Any] = {}


def _large(namespace: Namespace, rows: Sequence[Reading], kind: str) -> None:
    if kind not in _made:
        _made[kind] = _LARGE[kind]()
    namespace["large"] = namespace["View"](_made[kind])
    namespace["few"] = range(min(len(rows), 16))


_do = partial(Operation, area="wire", setup=_packets)
_PLAIN: dict[str, str | None] = {"bytes": None}


def _half(kind: str) -> Operation:
    """NumPy and shared memory have no slices that copy."""
    return Operation(
        f"half of {kind}",
        "wire",
        f"view[0:5_000_000] of {kind}",
        "large[0:5_000_000]",
        "for i in few",
        "len(result), result[0], result[-1]",
        partial(_large, kind=kind),
        repeat=1,
        instead=_PLAIN if kind in ("NumPy", "shared memory") else {},
        needs=("numpy",) if kind == "NumPy" else (),
    )


ROOM = Room(
    "view",
    "Views",
    (PURE, NAIVE, ARTICLE, NUMPY, NATIVE),
    (
        _do(
            "make",
            title="View(bytes)",
            statement="View(data)",
            loop="for data in packets",
            outcome="bytes(result)",
            instead=_PLAIN,
        ),
        _do(
            "slice",
            title="view[12:1024]",
            statement="view[12:1024]",
            loop="for view in views",
            outcome="bytes(result)",
        ),
        _do(
            "slice_writable",
            title="view[12:1024] of a bytearray",
            statement="view[12:1024]",
            loop="for view in shared",
            outcome="bytes(result)",
        ),
        _do(
            "packet",
            title="parse_packet_zero_copy(bytes)",
            statement="parse_packet_zero_copy(data)",
            loop="for data in packets",
            outcome="[bytes(piece) for piece in result]",
        ),
        _do(
            "index",
            title="view[i]",
            statement="view[500]",
            loop="for view in views",
            outcome="int(result)",
        ),
        _do(
            "equal",
            title="view == bytes",
            statement="view == data",
            loop="for view, data in zip(views, packets)",
            outcome="bool(result)",
            instead={"NumPy": None},
        ),
        *map(_half, _LARGE),
    ),
    {},
    baseline="memoryview",
    footprints=(
        Footprint("ferrule", "ferrule", "kept(times)", traced=True, most=200_000),
        Footprint("memoryview", "memoryview", "kept(times)", traced=True, most=200_000),
        Footprint("pure", "pure", "kept(times)", most=20_000),
    ),
    counted=("view", "views"),
    held="Bytes of a view of a bytes object, and of its place in a list.",
    headline=("packet", "parse_packet_zero_copy(data)"),
)
