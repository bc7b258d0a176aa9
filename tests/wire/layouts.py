"""Record classes for the tests of packets: given by hand, or drawn at random."""

from __future__ import annotations

import dataclasses
import enum
import importlib
import itertools
import math
import sys
import textwrap
import types
import typing
from random import Random
from typing import Annotated, Any

_numbers = itertools.count()


class Index:
    """An integer that is no int."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value


def names(impl: types.ModuleType) -> types.SimpleNamespace:
    """What layouts are declared with: the records and markers of one implementation."""
    package = impl.__name__.rpartition(".")[0]
    records = importlib.import_module(f"{package}.records")
    markers = importlib.import_module("ferrule.pure._wire_layout")
    found = {name: getattr(records, name) for name in records.__all__}
    found.update({name: getattr(markers, name) for name in markers.__all__})
    validation = importlib.import_module(f"{package}.validation")
    return types.SimpleNamespace(**found, validation=validation, ClassVar=typing.ClassVar)


def define(
    impl: types.ModuleType, endian: str | None, class_name: str = "P", /, **fields: Any
) -> Any:
    """A record class with these fields."""
    options = {} if endian is None else {"endian": endian}
    return names(impl).make_record(class_name, list(fields.items()), **options)


def compiled(impl: types.ModuleType, source: str) -> types.ModuleType:
    """A module of this source, which sees the names that layouts are declared with."""
    module = types.ModuleType(f"compiled_for_wire_{next(_numbers)}")
    vars(module).update(vars(names(impl)), Annotated=typing.Annotated)
    sys.modules[module.__name__] = module
    try:
        exec(compile(textwrap.dedent(source), module.__name__, "exec"), vars(module))
    finally:
        del sys.modules[module.__name__]
    return module


# ---- drawn at random


class Color(enum.Enum):
    RED = 1
    GREEN = 2
    BLUE = 200


class Sign(enum.IntEnum):
    DOWN = -1
    NONE = 0
    UP = 1


class Mode(enum.IntFlag):
    READ = 1
    WRITE = 2


INTS = ("i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64")
SUMS = {"Crc32": "u32", "Crc32c": "u32", "InternetChecksum": "u16"}
ENUMS = (Color, Sign, Mode)


@dataclasses.dataclass
class Drawn:
    """One field: its shape, and what the annotation and its values are made from."""

    name: str
    shape: str
    kind: str = ""
    tp: Any = None
    bits: int = 0
    size: int = 0
    by: str = ""
    scale: int = 1
    less: int = 0
    inner: Described | None = None
    cases: dict[int, Described | None] | None = None  # None: bytes
    default: Described | None | bool = False  # False: none
    over: tuple[str, ...] | None = None
    container: type = tuple
    most: int = 0  # the largest number that it may say
    role: str = ""  # what it says: a length or a tag


@dataclasses.dataclass
class Described:
    """A record class, to be built for any implementation."""

    name: str
    endian: str | None
    fields: list[Drawn]
    open: bool = False

    def field(self, name: str) -> Drawn:
        return next(field for field in self.fields if field.name == name)


class _Drawing:
    """One class on its way."""

    def __init__(self, random: Random, depth: int, *, flat: bool, ends: bool) -> None:
        self.random, self.depth, self.flat, self.ends = random, depth, flat, ends
        self.fields: list[Drawn] = []

    def name(self) -> str:
        return f"f{len(self.fields)}"

    def add(self, shape: str, **more: Any) -> Drawn:
        self.fields.append(Drawn(self.name(), shape, **more))
        return self.fields[-1]

    def number(self) -> Drawn:
        kind = self.random.choice((*INTS, "u8", "u8", "f32", "f64", "bool8"))
        most = 0
        if kind in INTS:
            most = (1 << int(kind[1:]) - (kind[0] == "i")) - 1
        return self.add("number", kind=kind, most=most)

    def enumerated(self) -> Drawn:
        tp = self.random.choice(ENUMS)
        return self.add("enum", kind=self.random.choice(INTS[1:]), tp=tp)

    def bits(self) -> None:
        left = 8 * self.random.choice((1, 1, 2, 3, 4, 8))
        while left:
            width = self.random.randint(1, left)
            tp: Any = int
            if width == 1 and self.random.random() < 0.5:
                tp = bool
            elif not self.flat and self.random.random() < 0.1:
                tp = self.random.choice(ENUMS)
            most = (1 << width) - 1 if tp is int else 0
            self.add("bits", tp=tp, bits=width, most=most)
            left -= width

    def fixed(self) -> Drawn:
        return self.add(
            "fixed", tp=self.random.choice((bytes, str)), size=self.random.choice((1, 2, 3, 8, 17))
        )

    def measure(self, role: str) -> Drawn | None:
        """An earlier field that may say a length or a tag."""
        fit = [field for field in self.fields if field.most >= 7 and field.role in ("", role)]
        if role == "tag":
            fit = [field for field in fit if not field.role]
        if not fit:
            return None
        found = self.random.choice(fit)
        found.role = role
        return found

    def sized(self) -> None:
        by = self.measure("length")
        if by is None:
            return
        scale = self.random.choice((1, 1, 1, 2, 4))
        less = self.random.choice((0, 0, 1, scale, 2 * scale))
        tp = self.random.choice((bytes, str))
        self.add("sized", tp=tp, by=by.name, scale=scale, less=less)

    def array(self) -> None:
        by = self.measure("length") if self.random.random() < 0.5 else None
        container = self.random.choice((tuple, list))
        more: dict[str, Any] = {"container": container, "size": self.random.choice((0, 1, 2, 3))}
        if by is not None:
            more["by"] = by.name
        what = self.random.randrange(4)
        if what == 0 and self.depth < 2:
            more["inner"] = draw(self.random, depth=self.depth + 1, ends=False)
        elif what == 1:
            more.update(tp=self.random.choice(ENUMS), kind=self.random.choice(INTS[1:]))
        else:
            more["kind"] = self.random.choice((*INTS, "f32", "f64", "bool8"))
        self.add("array", **more)

    def nested(self) -> None:
        if self.depth < 3:
            self.add("nested", inner=draw(self.random, depth=self.depth + 1, ends=False))

    def tagged(self, *, last: bool) -> None:
        by = self.measure("tag") if self.depth < 2 else None
        if by is None:
            return
        cases: dict[int, Described | None] = {}
        for tag in self.random.sample(range(8), self.random.randint(1, 3)):
            cases[tag] = self.case(last)
        default = self.case(last) if self.random.random() < 0.3 else False
        self.add("tagged", by=by.name, cases=cases, default=default)

    def case(self, last: bool) -> Described | None:
        if last and self.random.random() < 0.3:
            return None
        return draw(self.random, depth=self.depth + 1, ends=last)

    def sum(self) -> Drawn:
        mark = self.random.choice(list(SUMS))
        return self.add("sum", tp=mark, kind=SUMS[mark])

    def place_sums(self) -> None:
        """What checksums cover: one of them anything, the others what is no checksum."""
        others = [field.name for field in self.fields if field.shape != "sum"]
        sums = [field for field in self.fields if field.shape == "sum"]
        whole = self.random.choice(sums) if sums else None
        for field in sums:
            if not others or (field is whole and self.random.random() < 0.6):
                field.over = None
            else:
                some = self.random.sample(others, self.random.randint(1, len(others)))
                field.over = tuple(some)

    def last(self) -> bool:
        """A last field that may take all that is left."""
        choice = self.random.randrange(4)
        if choice == 0:
            self.add("rest", tp=self.random.choice((bytes, str)))
        elif choice == 1:
            self.tagged(last=True)
        elif choice == 2 and self.depth < 3:
            self.add("nested", inner=draw(self.random, depth=self.depth + 1))
        return _ends_open(self.fields[-1]) if self.fields else False

    def draw(self) -> None:
        steps: list[Any] = [self.number, self.number, self.number, self.bits, self.fixed]
        if self.flat and self.random.random() < 0.5:
            steps += [self.sized, self.sized]
        if not self.flat:
            steps += [self.enumerated, self.sized, self.sized, self.array, self.nested]
            steps.append(lambda: self.tagged(last=False))
        for _ in range(self.random.randint(1, 5 if self.depth else 7)):
            self.random.choice(steps)()
        if self.random.random() < 0.3 and sum(f.shape == "sum" for f in self.fields) == 0:
            self.sum()
            if self.random.random() < 0.2:
                self.sum()


def _ends_open(field: Drawn) -> bool:
    if field.shape == "rest":
        return True
    if field.shape == "nested":
        return bool(field.inner and field.inner.open)
    if field.shape == "tagged":
        every = [
            *(field.cases or {}).values(),
            *([field.default] if field.default is not False else []),
        ]
        return any(case is None or case.open for case in every)  # type: ignore[union-attr]
    return False


def draw(random: Random, *, depth: int = 0, flat: bool = False, ends: bool = True) -> Described:
    """A record class. `flat`: only of what tables keep; not `ends`: bounded by itself."""
    drawing = _Drawing(random, depth, flat=flat, ends=ends)
    while not drawing.fields:
        drawing.draw()
    is_open = drawing.last() if ends and not flat else False
    drawing.place_sums()
    endian = random.choice(("big", "little", "native", None))
    return Described(f"R{depth}", endian, drawing.fields, is_open)


class Built:
    """The classes of a description in one implementation."""

    def __init__(self, impl: types.ModuleType, described: Described) -> None:
        self.impl, self.names, self.described = impl, names(impl), described
        self.classes: dict[int, Any] = {}
        self.cls = self.build(described)

    def build(self, described: Described) -> Any:
        if id(described) not in self.classes:
            fields = {field.name: self.annotation(field) for field in described.fields}
            made = define(self.impl, described.endian, described.name, **fields)
            self.classes[id(described)] = made
        return self.classes[id(described)]

    def case(self, case: Described | None) -> Any:
        return bytes if case is None else self.build(case)

    def annotation(self, field: Drawn) -> Any:
        n = self.names
        if field.shape == "number":
            return getattr(n, field.kind)
        if field.shape == "enum":
            return Annotated[field.tp, getattr(n, field.kind)]
        if field.shape == "bits":
            return Annotated[field.tp, n.Bits(field.bits)]
        if field.shape == "fixed":
            return Annotated[field.tp, n.Size(field.size)]
        if field.shape == "sized":
            return Annotated[field.tp, n.SizedBy(field.by, field.scale, field.less)]
        if field.shape == "rest":
            return field.tp
        if field.shape == "nested":
            return self.build(field.inner)  # type: ignore[arg-type]
        if field.shape == "sum":
            return Annotated[getattr(n, field.kind), getattr(n, field.tp)(field.over)]
        if field.shape == "tagged":
            cases = {tag: self.case(case) for tag, case in (field.cases or {}).items()}
            default = None if field.default is False else self.case(field.default)  # type: ignore[arg-type]
            return Annotated[object, n.Tagged(field.by, cases, default)]
        item: Any = self.build(field.inner) if field.inner else getattr(n, field.kind)
        if field.tp is not None:
            item = Annotated[field.tp, item]
        items = list[item] if field.container is list else tuple[item, ...]
        return Annotated[items, n.Count(field.by or field.size)]

    def record(self, described: Described, values: dict[str, Any]) -> Any:
        """The record of the values that `values` gives."""
        made = [self.value(field, values[field.name]) for field in described.fields]
        return self.build(described)(*made)

    def value(self, field: Drawn, value: Any) -> Any:
        if field.shape == "nested":
            return self.record(field.inner, value)  # type: ignore[arg-type]
        if field.shape == "array" and field.inner is not None:
            return field.container(self.record(field.inner, one) for one in value)
        if isinstance(value, Case):
            return self.record(value.described, value.values)
        return value


@dataclasses.dataclass
class Case:
    """The values of a tail that is a record."""

    described: Described
    values: dict[str, Any]


def number(random: Random, kind: str) -> Any:
    if kind == "bool8":
        return random.random() < 0.5
    if kind in ("f32", "f64"):
        return random.choice((0.0, -0.0, 1.5, -2.25, math.inf, 2.0**100))
    bits, low = int(kind[1:]), 0
    if kind[0] == "i":
        low = -(1 << bits - 1)
    high = low + (1 << bits) - 1
    return random.choice((low, high, max(low, -1), 0, 1, random.randint(low, high)))


def text(random: Random, size: int) -> str:
    """Of so many bytes."""
    made = ""
    while size:
        letter = random.choice("ab\0é€😀")
        length = len(letter.encode())
        if length <= size:
            made, size = made + letter, size - length
    return made


def sized(random: Random, tp: type, size: int) -> Any:
    return random.randbytes(size) if tp is bytes else text(random, size)


def values(random: Random, described: Described) -> dict[str, Any]:
    """Values for a record that fits together; checksums are any number."""
    made: dict[str, Any] = {}
    for field in described.fields:
        made[field.name] = _value(random, described, field, made)
    return made


def _says(random: Random, described: Described, field: Drawn) -> int:
    """A number for a field that is a length or a tag."""
    if field.role == "tag":
        tail = next(f for f in described.fields if f.shape == "tagged" and f.by == field.name)
        if tail.default is not False and random.random() < 0.3:
            return random.choice([tag for tag in range(8) if tag not in tail.cases])  # type: ignore[operator]
        return random.choice(list(tail.cases or ()))
    low = 0
    for other in described.fields:
        if other.by == field.name and other.shape == "sized":
            low = max(low, -(-other.less // other.scale))
    return min(low + random.randrange(5), field.most)


def _value(random: Random, described: Described, field: Drawn, made: dict[str, Any]) -> Any:
    shape = field.shape
    if shape in ("number", "bits") and any(f.by == field.name for f in described.fields):
        return _says(random, described, field)
    if shape == "number" or shape == "sum":
        return number(random, field.kind)
    if shape == "bits" and field.tp is int:
        return random.choice((0, (1 << field.bits) - 1, random.randrange(1 << field.bits)))
    if shape == "bits" and field.tp is bool:
        return random.random() < 0.5
    if shape in ("enum", "bits"):
        signed = shape == "enum" and field.kind[0] == "i"
        width = field.bits or int(field.kind[1:]) - signed
        return _member(random, field.tp, width, signed)
    if shape == "fixed":
        size = field.size if field.tp is bytes else random.randint(0, field.size)
        found = sized(random, field.tp, size)
        return found if field.tp is bytes else found.rstrip("\0")
    if shape == "sized":
        return sized(random, field.tp, made[field.by] * field.scale - field.less)
    if shape == "rest":
        return sized(random, field.tp, random.choice((0, 1, 5, 30)))
    if shape == "nested":
        return values(random, field.inner)  # type: ignore[arg-type]
    if shape == "tagged":
        case = (field.cases or {}).get(made[field.by], field.default)
        if case is None:
            return random.randbytes(random.choice((0, 1, 5)))
        return Case(case, values(random, case))  # type: ignore[arg-type]
    count = made[field.by] if field.by else field.size
    if field.inner is not None:
        return [values(random, field.inner) for _ in range(count)]
    if field.tp is not None:
        signed = field.kind[0] == "i"
        width = int(field.kind[1:]) - signed
        return field.container(_member(random, field.tp, width, signed) for _ in range(count))
    return field.container(number(random, field.kind) for _ in range(count))


def _member(random: Random, tp: Any, width: int, signed: bool) -> Any:
    """A member that fits so many bits, if there is one."""
    fit = [one for one in tp if (0 if not signed else -1) <= one.value < 1 << width]
    return random.choice(fit or list(tp))


# ---- compared


def plain(value: Any) -> Any:
    """Comparable across implementations, and NaN to itself."""
    cls = value.__class__
    if hasattr(cls, "__match_args__") and hasattr(cls, "__dataclass_fields__"):
        return cls.__qualname__, [plain(getattr(value, name)) for name in cls.__match_args__]
    if isinstance(value, (list, tuple)):
        return cls.__name__, [plain(one) for one in value]
    return cls.__name__, repr(value)


def outcome(function: Any, *args: Any, **keywords: Any) -> tuple[Any, ...]:
    """What a call gives: ("value", it made plain), or what its error says."""
    try:
        return "value", plain(function(*args, **keywords))
    except (TypeError, ValueError, OverflowError) as error:
        return said(error)


def has_nan(found: Any) -> bool:
    """May a NaN be in it? Which bits of one survive is up to the processor and to `float`."""
    return "nan" in repr(found)


def said(error: Exception) -> tuple[Any, ...]:
    if type(error).__name__ == "WireError":
        return "WireError", error.args, error.where  # type: ignore[attr-defined]
    return type(error).__name__, str(error)


def damaged(random: Random, data: bytes) -> bytes:
    """A buffer like this one: the same, longer, shorter, with other bytes, or quite another."""
    choice = random.randrange(8)
    if choice == 0:
        return data
    if choice == 1:
        return data + random.randbytes(random.randint(1, 5))
    if choice == 2:
        return data[: random.randrange(len(data) + 1)]
    if choice == 3:
        return random.randbytes(random.randrange(2 * len(data) + 2))
    made = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 2, 5))):
        if made:
            at = random.randrange(len(made))
            made[at] = random.choice((0, 1, 2, 255, made[at] ^ 1 << random.randrange(8)))
    return bytes(made)
