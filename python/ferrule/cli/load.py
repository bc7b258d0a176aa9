"""Readings from a file: CSV or JSON lines in, `(timestamp, value, unit)` tuples out.

A capture of network traffic (pcap, pcapng) gives one reading a frame, its length in bytes, and the
first of its frames beside them.

Nothing is dropped in silence: a malformed line is an `InputError` with its number, and everything
that was decided for the user (columns, a cut at the limit, fractions of a second) is a note.
"""

from __future__ import annotations

import csv
import importlib
import json
import math
import mmap
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from typing_extensions import Buffer

#: Readings taken from one file unless the user says otherwise.
DEFAULT_LIMIT = 1_000_000
#: Longest accepted line in bytes: a file without line ends must not be read whole.
MAX_LINE = 1 << 20

#: Frames of a capture that are kept.
MAX_FRAMES = 20_000
#: What captures begin with.
_CAPTURES = (
    *(b"\xa1\xb2\xc3\xd4", b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\x3c\x4d", b"\x4d\x3c\xb2\xa1"),
    b"\x0a\x0d\x0d\x0a",
)

TIME_NAMES = ("timestamp", "time", "date", "datetime")
VALUE_NAMES = ("value",)
UNIT_NAMES = ("unit", "units")

_INTEGER = re.compile(r"[+-]?[0-9]{1,20}\Z")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\Z")
_BASIC_DATE = re.compile(r"[0-9]{8}\Z")

Reading = tuple[int, float, str]


class InputError(ValueError):
    """The readings cannot be loaded; the text names the file, the line and what was wanted."""


@dataclass(frozen=True, slots=True)
class Readings:
    """What was loaded, from where, and what the user should know about it."""

    rows: list[Reading]
    source: str
    notes: tuple[str, ...] = ()


class Frames(list[Reading]):
    """The readings of a capture. `frames`: nanoseconds and bytes of those of its first frames that
    are TCP or UDP over IP in Ethernet, whole enough for their headers."""

    def __init__(self, rows: Iterable[Reading] = (), frames: Iterable[tuple[int, bytes]] = ()):
        super().__init__(rows)
        self.frames = list(frames)


@dataclass(slots=True)
class _Reader:
    """One file being read: where it stands and what it has noticed."""

    name: str
    limit: int
    line: int = 0
    blank: int = 0
    comments: int = 0
    fractions: int = 0
    cut: bool = False
    notes: list[str] = field(default_factory=list)
    units: dict[str, str] = field(default_factory=dict)

    def fail(self, message: str) -> NoReturn:
        raise InputError(f"{self.name}, line {self.line}: {message}")

    def unit(self, text: str) -> str:
        """One string object per distinct unit, as a program that reads a file would keep it."""
        return self.units.setdefault(text, text)


def load(path: Path | None = None, limit: int = DEFAULT_LIMIT) -> Readings:
    """Load at most `limit` readings from `path`, or the series that comes with the package."""
    if path is None:
        return sample(limit)
    try:
        with path.open("rb") as file:
            if file.read(4) in _CAPTURES:
                # closed when the last frame goes, which an error's traceback may hold
                memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
                return capture(memory, str(path), limit)
            file.seek(0)
            return _load(file, str(path), limit)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error


def sample(limit: int = DEFAULT_LIMIT) -> Readings:
    """The shipped series: weekly CO2 at Mauna Loa, 1958 to 2001 (public domain)."""
    path = resources.files("ferrule.cli") / "data" / "mauna_loa_co2.csv"
    with path.open("rb") as file:
        loaded = _load(file, path.name, limit)
    source = "weekly CO2 at Mauna Loa, 1958 to 2001 (Keeling and Whorf, CDIAC, public domain)"
    notes = tuple(note for note in loaded.notes if note.startswith("cut"))
    return Readings(loaded.rows, source, notes)


def capture(data: Buffer, name: str, limit: int = DEFAULT_LIMIT) -> Readings:
    """The readings of a capture."""
    wire = importlib.import_module("ferrule.wire")
    rows = Frames()
    notes: list[str] = []
    passed = 0
    try:
        for frame in wire.pcap(data):
            if len(rows) == limit:
                notes.append(f"cut after {limit:,} readings (--limit)")
                break
            rows.append((frame.time_ns // 1_000_000_000, float(len(frame)), "bytes"))
            if len(rows) <= MAX_FRAMES and _has_ports(frame):
                rows.frames.append((frame.time_ns, bytes(frame)))
            elif len(rows) <= MAX_FRAMES:
                passed += 1
    except wire.WireError as error:
        raise InputError(f"{name}: {error}") from error
    if not rows:
        raise InputError(f"{name}: a capture without frames")
    if len(rows) > MAX_FRAMES:
        notes.append(f"headers are decoded of the first {MAX_FRAMES:,} frames")
    if passed:
        notes.append(f"frames that are no whole TCP or UDP over IP in Ethernet: {passed:,}")
    return Readings(rows, name, ("a capture: length of each frame", *notes))


def _has_ports(frame: Any) -> bool:
    """Do the layouts find a TCP or UDP header in it?"""
    wire, net = (importlib.import_module(f"ferrule.wire{part}") for part in ("", ".net"))
    if frame.link_type != 1:
        return False
    try:
        outer = wire.unpack(net.Ethernet, frame)
        if outer.ethertype == net.EtherType.VLAN:
            outer = wire.unpack(net.Vlan, outer.payload)
        if outer.ethertype == net.EtherType.IPV4:
            packet = wire.unpack(net.IPv4, outer.payload)
            inside = packet.protocol if packet.fragment_offset == 0 else None
        elif outer.ethertype == net.EtherType.IPV6:
            packet = wire.unpack(net.IPv6, outer.payload)
            inside = packet.next_header
        else:
            return False
        if inside not in (net.Protocol.TCP, net.Protocol.UDP):
            return False
        wire.unpack(net.TCP if inside == net.Protocol.TCP else net.UDP, packet.body)
    except wire.WireError:
        return False
    return True


def _load(file: IO[bytes], name: str, limit: int) -> Readings:
    reader = _Reader(name, limit)
    lines = _lines(file, reader)
    first = next(lines, None)
    if first is None:
        raise InputError(f"{name}: no readings; wanted a CSV file or JSON lines")
    text = first.lstrip()
    if text.startswith("["):
        reader.fail("wanted one JSON object a line, got a JSON array")
    read = _json_rows if text.startswith("{") else _csv_rows
    rows: list[Reading] = []
    for row in read(first, lines, reader):
        if len(rows) == limit:
            reader.cut = True
            break
        rows.append(row)
    if not rows:
        raise InputError(f"{name}: a header and no readings")
    if reader.cut:
        reader.notes.append(f"cut after {limit:,} readings (--limit)")
    if reader.comments:
        reader.notes.append(f"comment lines before the first reading: {reader.comments:,}")
    if reader.blank:
        reader.notes.append(f"blank lines passed over: {reader.blank:,}")
    if reader.fractions:
        reader.notes.append(
            f"timestamps whose fraction of a second was cut off: {reader.fractions:,}"
        )
    return Readings(rows, name, tuple(reader.notes))


def _lines(file: IO[bytes], reader: _Reader) -> Iterator[str]:
    """Decoded lines; leading comment lines (#) and blank lines are counted, not given."""
    head = True
    while raw := file.readline(MAX_LINE + 1):
        reader.line += 1
        if b"\0" in raw:
            reader.fail("a NUL byte; wanted text (CSV or JSON lines in UTF-8)")
        if len(raw) > MAX_LINE:
            reader.fail(f"longer than {MAX_LINE:,} bytes; wanted one reading a line")
        try:
            text = raw.decode("utf-8-sig" if reader.line == 1 else "utf-8")
        except UnicodeDecodeError as error:
            reader.fail(
                f"byte 0x{raw[error.start]:02x} is not UTF-8; wanted text (CSV or JSON lines)"
            )
        if not text.strip():
            reader.blank += 1
        elif head and text.startswith("#"):
            reader.comments += 1
        else:
            head = False
            yield text


# ------------------------------------------------------------------------------------------ cells


def _time(text: str, name: str, reader: _Reader) -> int:
    text = text.strip()
    if _BASIC_DATE.match(text) and "date" in name.lower():
        parsed = _iso(text)
    elif _INTEGER.match(text):
        return _bounded(int(text), name, text, reader)
    elif _NUMBER.match(text):
        return _seconds(float(text), name, text, reader)
    else:
        parsed = _iso(text)
    if parsed is None:
        reader.fail(f"{name}: wanted Unix seconds or an ISO date, got {_short(text)}")
    if parsed.microsecond:
        reader.fractions += 1
    # Whole seconds by integer arithmetic: timestamp() of an early date may be inexact.
    since = (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)) - _EPOCH
    return since.days * 86_400 + since.seconds


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _iso(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _seconds(number: float, name: str, given: object, reader: _Reader) -> int:
    if not math.isfinite(number):
        reader.fail(f"{name}: wanted Unix seconds or an ISO date, got {_short(given)}")
    whole = math.floor(number)
    if whole != number:
        reader.fractions += 1
    return _bounded(whole, name, given, reader)


def _bounded(number: int, name: str, given: object, reader: _Reader) -> int:
    if not -(1 << 63) <= number < 1 << 63:
        reader.fail(f"{name}: wanted a timestamp of at most 64 bits, got {_short(given)}")
    return number


def _value(text: str, name: str, reader: _Reader) -> float:
    number = float(text) if _NUMBER.match(text.strip()) else math.nan
    if not math.isfinite(number):
        reader.fail(f"{name}: wanted a finite number, got {_short(text)}")
    return number


def _short(given: object) -> str:
    text = ascii(given) if not isinstance(given, str) else repr(given)
    return text if len(text) <= 40 else text[:37] + "..."


# -------------------------------------------------------------------------------------------- CSV


def _csv_rows(first: str, lines: Iterator[str], reader: _Reader) -> Iterator[Reading]:
    delimiter = max(",;\t", key=first.count)

    def again() -> Iterator[str]:
        yield first
        yield from lines

    table = csv.reader(again(), delimiter=delimiter, strict=True, skipinitialspace=True)

    def cells() -> Iterator[list[str]]:
        while True:
            try:
                row = next(table)
            except StopIteration:
                return
            except csv.Error as error:
                reader.fail(f"broken CSV ({error})")
            yield row

    rows = cells()
    head = next(rows)
    named = not any(_looks_timed(cell) or _NUMBER.match(cell.strip()) for cell in head)
    names = [cell.strip() or f"column {i}" for i, cell in enumerate(head, 1)] if named else []
    start = next(rows, None) if named else head
    if start is None:
        return
    wanted = len(head)
    if len(start) != wanted:
        reader.fail(f"wanted {wanted} cells, got {len(start)}")
    when, what, unit = _columns(names, start, reader) if named else _positions(head, reader)
    labels = names or ["timestamp", "value", "unit", *(f"column {i + 4}" for i in range(wanted))]
    row: list[str] | None = start
    while row is not None:
        if len(row) != wanted:
            reader.fail(f"wanted {wanted} cells, got {len(row)}")
        yield (
            _time(row[when], labels[when], reader),
            _value(row[what], labels[what], reader),
            reader.unit("" if unit is None else row[unit].strip()),
        )
        row = next(rows, None)


def _looks_timed(cell: str) -> bool:
    text = cell.strip()
    return bool(_INTEGER.match(text)) or _iso(text) is not None


def _find(names: list[str], wanted: tuple[str, ...]) -> int | None:
    low = [name.lower() for name in names]
    return next((low.index(name) for name in wanted if name in low), None)


def _first(count: int, taken: set[int | None], test: Callable[[int], object]) -> int | None:
    return next((i for i in range(count) if i not in taken and test(i)), None)


def _columns(names: list[str], start: list[str], reader: _Reader) -> tuple[int, int, int | None]:
    """Columns by name, else the first that reads as a time and the first other number."""
    unit = _find(names, UNIT_NAMES)
    what = _find(names, VALUE_NAMES)
    when = _find(names, TIME_NAMES)
    if when is None:
        when = _first(len(names), {unit, what}, lambda i: _looks_timed(start[i]))
    if when is None:
        reader.fail(f"wanted a column named {' or '.join(TIME_NAMES[:3])}, got {', '.join(names)}")
    if what is None:
        what = _first(len(names), {unit, when}, lambda i: _NUMBER.match(start[i].strip()))
    if what is None:
        reader.fail(f"wanted a column named value or a column of numbers, got {', '.join(names)}")
    note = f"columns: timestamp from {names[when]!r}, value from {names[what]!r}, unit "
    reader.notes.append(note + ("empty" if unit is None else f"from {names[unit]!r}"))
    return when, what, unit


def _positions(head: list[str], reader: _Reader) -> tuple[int, int, int | None]:
    if len(head) < 2:
        reader.fail(f"wanted timestamp, value and perhaps unit, got {len(head)} cell")
    unit = 2 if len(head) > 2 else None
    reader.notes.append("no header: columns taken as timestamp, value" + ", unit" * (unit == 2))
    return 0, 1, unit


# ------------------------------------------------------------------------------------- JSON lines


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


def _object(text: str, reader: _Reader) -> dict[str, Any]:
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        reader.fail(f"column {error.colno}: broken JSON ({error.msg}); wanted one object a line")
    except (ValueError, RecursionError) as error:
        reader.fail(f"broken JSON ({error})")
    if not isinstance(value, dict):
        reader.fail(f"wanted a JSON object, got {type(value).__name__}")
    return value


def _json_rows(first: str, lines: Iterator[str], reader: _Reader) -> Iterator[Reading]:
    item = _object(first, reader)
    names = list(item)
    when = _find(names, TIME_NAMES)
    if when is None:
        reader.fail(f"wanted a key {' or '.join(TIME_NAMES[:3])}, got {', '.join(names) or 'none'}")
    unit = _find(names, UNIT_NAMES)
    what = _find(names, VALUE_NAMES)
    if what is None:
        what = _first(len(names), {when, unit}, lambda i: _is_number(item[names[i]]))
    if what is None:
        reader.fail(f"wanted a key value or a number, got {', '.join(names)}")
    time_key, value_key = names[when], names[what]
    unit_key = None if unit is None else names[unit]
    note = f"keys: timestamp from {time_key!r}, value from {value_key!r}, unit "
    reader.notes.append(note + ("empty" if unit_key is None else f"from {unit_key!r}"))
    while True:
        yield _json_row(item, time_key, value_key, unit_key, reader)
        text = next(lines, None)
        if text is None:
            return
        item = _object(text, reader)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _json_row(
    item: dict[str, Any], time_key: str, value_key: str, unit_key: str | None, reader: _Reader
) -> Reading:
    for key in (time_key, value_key):
        if key not in item:
            reader.fail(f"wanted a key {key!r}, got {_short(', '.join(item))}")
    when, what = item[time_key], item[value_key]
    if isinstance(when, str):
        seconds = _time(when, time_key, reader)
    elif isinstance(when, int) and not isinstance(when, bool):
        seconds = _bounded(when, time_key, when, reader)
    elif isinstance(when, float):
        seconds = _seconds(when, time_key, when, reader)
    else:
        reader.fail(f"{time_key}: wanted Unix seconds or an ISO date, got {_short(when)}")
    if not _is_number(what):
        reader.fail(f"{value_key}: wanted a number, got {_short(what)}")
    try:
        number = float(what)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        reader.fail(f"{value_key}: wanted a finite number, got {_short(what)}")
    unit = "" if unit_key is None else item.get(unit_key, "")
    if not isinstance(unit, str):
        reader.fail(f"{unit_key}: wanted a string, got {_short(unit)}")
    return seconds, number, reader.unit(unit)
