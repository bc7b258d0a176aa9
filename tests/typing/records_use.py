"""What a type checker should understand of records. Checked, never run."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Generic, TypeVar, assert_type

from ferrule.records import (
    AbstractRecord,
    Field,
    Layout,
    Record,
    Size,
    asdict,
    astuple,
    bool8,
    f64,
    field,
    fields,
    i64,
    layout,
    make_record,
    record,
    replace,
    u16,
)

T = TypeVar("T")


class SensorReading(Record, gc=False):
    timestamp: i64
    value: f64
    unit: str
    valid: bool8 = True
    tags: list[str] = field(default_factory=list)
    code: Annotated[bytes, Size(4)] = b"\0\0\0\0"

    @cached_property
    def label(self) -> str:
        return f"{self.value} {self.unit}"


reading = SensorReading(1, 2.5, "C", tags=["a"])
assert_type(reading, SensorReading)
assert_type(reading.timestamp, int)
assert_type(reading.value, float)
assert_type(reading.unit, str)
assert_type(reading.valid, bool)
assert_type(reading.tags, list[str])
assert_type(reading.code, bytes)
assert_type(reading.label, str)
reading.timestamp = 5
assert_type(reading == reading, bool)


class Located(SensorReading, kw_only=True):
    port: u16 = 0


assert_type(Located(1, 2.0, "C", port=5).port, int)


class Frozen(Record, frozen=True, order=True):
    x: i64
    y: f64 = 0.0


assert_type(Frozen(1) < Frozen(2), bool)
assert_type(hash(Frozen(1)), int)


class Page(Record, Generic[T]):
    items: list[T]
    number: i64 = 1


assert_type(Page([1, 2]), Page[int])
assert_type(Page([1, 2]).items, list[int])


@record(frozen=True)
class Decorated:
    name: str
    size: i64 = 0


assert_type(Decorated("a").size, int)


@record
class Bare:
    name: str


assert_type(Bare("a").name, str)


class Shape(AbstractRecord):
    name: str


assert_type(Shape("a").name, str)

assert_type(replace(reading, unit="K"), SensorReading)
assert_type(asdict(reading), dict[str, Any])
assert_type(astuple(reading), tuple[Any, ...])
assert_type(layout(SensorReading), Layout)
assert_type(layout(SensorReading).size, int)
assert_type(layout(SensorReading).fields[0].name, str)

first = fields(SensorReading)[0]
named: Field = first
metadata: Mapping[Any, Any] = first.metadata
made: type[Record] = make_record("Made", [("x", int), "y"])

match reading:
    case SensorReading(timestamp, value):
        assert_type(timestamp, int)
        assert_type(value, float)
