"""unpack_many and index_many with the vector instructions of each level, against the twin."""

from __future__ import annotations

import importlib.machinery
import importlib.util
from array import array
from random import Random
from types import ModuleType
from typing import Any

import layouts
import pytest
from layouts import Built, Described, Drawn

import ferrule._wire
import ferrule.pure.wire
import ferrule.wire

LEVELS = ("portable", "sse2", "avx2", "avx512")
TWIN = ferrule.pure.wire


def load(level: str) -> ModuleType:
    """The extension module once more, with a state of its own."""
    path = ferrule._wire.__file__
    loader = importlib.machinery.ExtensionFileLoader("ferrule._wire", path)
    spec = importlib.util.spec_from_file_location("ferrule._wire", path, loader=loader)
    assert spec is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FERRULE_CPU", level)
        module = importlib.util.module_from_spec(spec)
        loader.exec_module(module)
    return module


def has() -> dict[str, ModuleType]:
    """Those that this processor has."""
    found = {}
    for level in LEVELS:
        try:
            found[level] = load(level)
        except ImportError as error:
            assert "this processor has no" in str(error)
            break
    return found


WIRES = has()
at_every_level = pytest.mark.parametrize("level", WIRES)


@at_every_level
def test_a_level_can_be_forced(level):
    assert WIRES[level].unpack_many is not ferrule.wire.unpack_many


# ---- the same as the twin


class Columns:
    """Cells for the fields of a layout that have some; each at an odd address, if asked for."""

    CODES = {"bool8": "?", "f32": "f", "f64": "d"}

    def __init__(self, described: Described, rows: int, odd: bool) -> None:
        self.given: dict[str, Any] = {}
        for field in described.fields:
            code = self.code(field)
            if not code:
                continue
            size = array(code).itemsize if code != "?" else 1
            memory = bytearray(rows * size + 1)
            view: Any = memoryview(memory)[odd : odd + rows * size]
            self.given[field.name] = view.cast(code)

    def code(self, field: Drawn) -> str:
        if field.shape == "bits":
            return "?" if field.tp is bool else "Q"
        if field.shape not in ("number", "sum", "enum"):
            return ""
        kind = field.kind
        if kind[0] in "iu":
            code = "bhilq"[{8: 0, 16: 1, 32: 2, 64: 4}[int(kind[1:])]]
            return code if kind[0] == "i" else code.upper()
        return self.CODES[kind]

    def bytes(self) -> dict[str, bytes]:
        return {name: view.tobytes() for name, view in self.given.items()}


def read(wire: Any, built: Built, data: Any, rows: int, odd: bool, **options: Any) -> list[Any]:
    """All that can be asked for."""
    columns = Columns(built.described, rows, odd)
    found = [
        layouts.outcome(wire.index_many, built.cls, data),
        layouts.outcome(wire.unpack_many, built.cls, data, out=columns.given, **options),
    ]
    if found[-1][0] == "value":
        found.append(columns.bytes())

    def table() -> Any:
        result = wire.unpack_many(built.cls, data, **options)
        rows, errors = result if isinstance(result, tuple) else (result, [])
        return list(rows), [layouts.said(error) for error in errors]

    found.append(layouts.outcome(table))
    if "cannot keep field" in str(found[-1]):  # then it shows the annotation, which differs
        found[-1] = "no column"
    return found


def agree(level: str, random: Random, described: Described, packets: list[bytes]) -> None:
    native, twin = Built(ferrule.wire, described), Built(TWIN, described)
    count = random.choice((0, 1, 2, 5, 63, 64, 65, 130))
    data: Any = b"".join(random.choice(packets) for _ in range(count))
    if random.random() < 0.7:
        data = layouts.damaged(random, data)
    data = random.choice((bytes, bytearray, memoryview))(data)
    rows, odd = count + 5, random.random() < 0.5
    if random.random() < 0.2:
        rows = max(count - 1, 0)
    options = {
        "on_error": random.choice(("raise", "skip", "report")),
        "max_errors": random.choice((0, 1, 1000)),
    }
    found = read(WIRES[level], native, data, rows, odd, **options)
    assert found == read(TWIN, twin, data, rows, odd, **options), (described, bytes(data), options)


def packed(random: Random, described: Described) -> list[bytes]:
    built, packets = Built(TWIN, described), []
    while len(packets) < 12:
        try:
            packets.append(TWIN.pack(built.record(described, layouts.values(random, described))))
        except OverflowError:  # an Enum without a member that fits
            return [random.randbytes(40)]
    return packets


@at_every_level
@pytest.mark.parametrize("seed", range(60))
def test_any_layout(level, seed):
    random = Random(seed)
    described = layouts.draw(random, flat=seed % 3 > 0)
    packets = packed(random, described)
    for _ in range(4):
        agree(level, random, described, packets)


def numbers(random: Random) -> Described:
    """Fields of a fixed size only, in rows of any size."""
    fields = []
    for i in range(random.randint(1, 9)):
        name = f"f{i}"
        if random.random() < 0.15:
            size = random.choice((1, 2, 3, 5, 8, 30, 70))
            fields.append(Drawn(name, "fixed", tp=random.choice((bytes, bytes, str)), size=size))
        else:
            kind = random.choice((*layouts.INTS, "f32", "f64", "bool8"))
            fields.append(Drawn(name, "number", kind=kind))
    if random.random() < 0.4:
        mark = random.choice(list(layouts.SUMS))
        fields.insert(
            random.randrange(len(fields) + 1),
            Drawn("sum", "sum", tp=mark, kind=layouts.SUMS[mark]),
        )
        names = [field.name for field in fields if field.name != "sum"]
        if random.random() < 0.5:
            over = tuple(random.sample(names, random.randint(1, len(names))))
            next(field for field in fields if field.name == "sum").over = over
    return Described("R", random.choice(("big", "little", None)), fields)


@at_every_level
@pytest.mark.parametrize("seed", range(60))
def test_fixed_rows(level, seed):
    random = Random(seed)
    described = numbers(random)
    packets = packed(random, described)
    for _ in range(4):
        agree(level, random, described, packets)


@at_every_level
@pytest.mark.parametrize("width", [1, 2, 4, 8])
@pytest.mark.parametrize("big", [True, False])
def test_every_stride_and_tail(level, width, big):
    """One field at every place of rows of every size up to what vectors cover."""
    kind = f"u{8 * width}"
    code = {1: "B", 2: "H", 4: "I", 8: "Q"}[width]
    n = layouts.names(ferrule.wire)
    random = Random(width)
    for before in (0, 1, 2, 3, 7, 9, 15, 17, 40, 63):
        for behind in (0, 1, 5, 14, 16, 30, 56):
            fields = {"x": getattr(n, kind)}
            if before:
                fields = {"a": layouts.Annotated[bytes, n.Size(before)], **fields}
            if behind:
                fields["b"] = layouts.Annotated[bytes, n.Size(behind)]
            cls = layouts.define(ferrule.wire, "big" if big else "little", **fields)
            stride, count = before + width + behind, random.randint(0, 200)
            data = random.randbytes(stride * count)
            order = "big" if big else "little"
            wanted = [
                int.from_bytes(data[i * stride + before :][:width], order) for i in range(count)
            ]
            cells = array(code, bytes(width * count))
            assert WIRES[level].unpack_many(cls, data, out={"x": cells}) == count
            assert cells.tolist() == wanted, (before, behind, count)


@at_every_level
def test_more_than_the_caches_hold(level):
    """Stores that go past the caches, by blocks, at addresses of every kind."""
    n = layouts.names(ferrule.wire)
    fields = {"a": n.u32, "b": n.u16, "c": n.f64, "d": n.bool8, "e": n.u8}
    cls = layouts.define(ferrule.wire, "big", **fields)
    count = 400_001
    one = b"".join(
        i.to_bytes(4, "big") + (i & 0xFFFF).to_bytes(2, "big") + b"\x40" + bytes(7) + b"\1\7"
        for i in range(1000)
    )
    data = (one * (count // 1000 + 1))[: count * 16]
    for odd in (0, 1, 4, 16):
        memory = {
            name: bytearray(count * size + odd)
            for name, size in zip("abcde", (4, 2, 8, 1, 1), strict=True)
        }
        given = {
            name: memoryview(memory[name])[odd:].cast(code)
            for name, code in zip("abcde", "IHd?B", strict=True)
        }
        assert WIRES[level].unpack_many(cls, data, out=given) == count
        assert given["a"][:1000].tolist() == given["a"][400_000 - 1000 : 400_000].tolist()
        assert given["a"].tolist() == (list(range(1000)) * 401)[:count]
        assert given["b"].tolist() == (list(range(1000)) * 401)[:count]
        assert set(given["c"]) == {2.0} and set(given["d"]) == {True} and set(given["e"]) == {7}
    table = WIRES[level].unpack_many(cls, data)
    assert len(table) == count and table.column("a")[-1] == 0 and table.column("a")[998] == 998
