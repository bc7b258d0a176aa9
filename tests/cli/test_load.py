"""`--input`: what is read, what is said, and every way a file can be wrong."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from ferrule.cli import load as loading
from ferrule.cli.load import MAX_LINE, Frames, InputError, Reading, Readings, load, sample
from wire.captures import RECORDED, Section, classic, recorded


def read(tmp_path: Path, text: str | bytes, limit: int = 1000) -> Readings:
    path = tmp_path / "readings.txt"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return load(path, limit)


def rows(tmp_path: Path, text: str | bytes) -> list[Reading]:
    return read(tmp_path, text).rows


def test_sample_is_the_measured_series() -> None:
    found = sample()
    assert len(found.rows) == 2225
    assert found.rows[0] == (-371174400, 316.1, "ppm")  # 29 March 1958
    assert found.rows[-1] == (1009584000, 371.5, "ppm")  # 29 December 2001
    assert [row[0] for row in found.rows] == sorted({row[0] for row in found.rows})
    assert all(300 < row[1] < 400 for row in found.rows)
    assert found.notes == ()
    assert "public domain" in found.source


def test_sample_can_be_cut() -> None:
    found = sample(10)
    assert len(found.rows) == 10
    assert found.notes == ("cut after 10 readings (--limit)",)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("timestamp,value,unit\n1,2.5,C\n2,3,K\n", [(1, 2.5, "C"), (2, 3.0, "K")]),
        ("Unit;Value;Time\nC;2.5;1\n", [(1, 2.5, "C")]),
        ("date\tvalue\n1970-01-02\t.5\n", [(86400, 0.5, "")]),
        ("date,co2\n19580329,316.1\n", [(-371174400, 316.1, "")]),
        ("1,2,C\n3,4,C\n", [(1, 2.0, "C"), (3, 4.0, "C")]),
        ("1970-01-01T00:00:01Z,2\n", [(1, 2.0, "")]),
        ("1970-01-01T01:00:00+01:00,2\n", [(0, 2.0, "")]),
        ("0001-01-01,2\n", [(-62135596800, 2.0, "")]),
        ("# a\n# b\ntime,name,reading\n5,x,-1e3\n", [(5, -1000.0, "")]),
        ('time,value,unit\n1,2,"a, b"\n', [(1, 2.0, "a, b")]),
        ("time,value\r\n1,2\r\n", [(1, 2.0, "")]),
        ("\ufefftime,value\n1,2\n", [(1, 2.0, "")]),
        ("time,value\n5.0,2", [(5, 2.0, "")]),
        ("day,reading\n1970-01-01,7\n", [(0, 7.0, "")]),
        ('{"timestamp": 1, "value": 2.5, "unit": "C"}\n', [(1, 2.5, "C")]),
        ('{"time": "1970-01-01", "x": true, "y": 3}\n', [(0, 3.0, "")]),
        ('{"time": 1.0, "value": 2}\n{"value": 3, "time": 2, "more": []}\n',
         [(1, 2.0, ""), (2, 3.0, "")]),
    ],
)  # fmt: skip
def test_accepted(tmp_path: Path, text: str, wanted: list[Reading]) -> None:
    found = rows(tmp_path, text)
    assert found == wanted
    assert [tuple(map(type, row)) for row in found] == [(int, float, str)] * len(wanted)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("time,value\n1,2\n2,x\n", 3, "value: wanted a finite number, got 'x'"),
        ("time,value\n1,nan\n", 2, "value: wanted a finite number, got 'nan'"),
        ("time,value\n1,1e999\n", 2, "value: wanted a finite number, got '1e999'"),
        ("time,value\n1,1_0\n", 2, "value: wanted a finite number, got '1_0'"),
        ("time,value\n1,\n", 2, "value: wanted a finite number, got ''"),
        ("time,value\nsoon,1\n", 2, "time: wanted Unix seconds or an ISO date, got 'soon'"),
        ("time,value\n1,2\n2021-13-01,1\n", 3, "time: wanted Unix seconds or an ISO date"),
        ("time,value\n99999999999999999999,1\n", 2, "time: wanted a timestamp of at most 64 bits"),
        ("time,value\n1e30,1\n", 2, "time: wanted a timestamp of at most 64 bits"),
        ("time,value\n1e999,1\n", 2, "time: wanted Unix seconds or an ISO date"),
        ("time,value\n1,2\n\n3,4,5\n", 4, "wanted 2 cells, got 3"),
        ("time,value\n1\n", 2, "wanted 2 cells, got 1"),
        ("5\n", 1, "wanted timestamp, value and perhaps unit, got 1 cell"),
        ("name,value\nx,2\n", 2, "wanted a column named timestamp or time or date, got name"),
        ("time,name\n1,x\n", 2, "wanted a column named value or a column of numbers"),
        ('time,value\n1,"2\n', 2, "broken CSV"),
        ("time,value\n1,2\0\n", 2, "a NUL byte; wanted text"),
        (b"\x89PNG\r\n\x1a\n\0", 1, "byte 0x89 is not UTF-8"),
        (b"time,value\n1,2\n\xff,3\n", 3, "byte 0xff is not UTF-8"),
        ("time,value\n" + "1" * (MAX_LINE + 1), 2, "longer than 1,048,576 bytes"),
        ("[1]\n", 1, "wanted one JSON object a line, got a JSON array"),
        ('{"time": 1, "value": 2}\n{"time": 2, "value"', 2, "column"),
        ('{"time": 1, "value": 2}\n[]\n', 2, "wanted a JSON object, got list"),
        ('{"time": 1, "value": 2}\n{"time": 2}\n', 2, "wanted a key 'value', got 'time'"),
        ('{"time": 1, "value": 2}\n{"time": 2, "value": "3"}\n', 2, "value: wanted a number, got"),
        ('{"time": 1, "value": true}\n', 1, "value: wanted a number, got True"),
        ('{"time": true, "value": 1}\n', 1, "time: wanted Unix seconds or an ISO date, got True"),
        ('{"time": 1, "value": NaN}\n', 1, "broken JSON (NaN is not JSON)"),
        ('{"time": 1, "value": 1e999}\n', 1, "value: wanted a finite number"),
        ('{"time": 1, "value": 1, "unit": 7}\n', 1, "unit: wanted a string, got 7"),
        ('{"time": 1, "value": 1' + "0" * 400 + "}\n", 1, "value: wanted a finite number"),
        ('{"time": 1, "value": 1' + "0" * 5000 + "}\n", 1, "broken JSON"),
        ('{"time": 1' + "0" * 30 + ', "value": 1}\n', 1, "time: wanted a timestamp of at most 64"),
        ('{"time": ' + "[" * 100_000 + "\n", 1, "broken JSON"),
        ('{"value": 1}\n', 1, "wanted a key timestamp or time or date, got value"),
        ('{"time": 1, "name": "x"}\n', 1, "wanted a key value or a number, got time, name"),
    ],
)
def test_refused(tmp_path: Path, text: str | bytes, line: int, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(f"readings.txt, line {line}: ")) as caught:
        rows(tmp_path, text)
    assert message in str(caught.value)
    assert len(str(caught.value)) < len(str(tmp_path)) + 200


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n"])
def test_nothing_in_it(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match="no readings; wanted a CSV file or JSON lines"):
        rows(tmp_path, text)


def test_header_alone(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a header and no readings"):
        rows(tmp_path, "time,value\n")


def test_missing_file_and_directory(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read .*nothing.csv: No such file"):
        load(tmp_path / "nothing.csv")
    with pytest.raises(InputError, match="cannot read .*: Is a directory"):
        load(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_no_permission(tmp_path: Path) -> None:
    path = tmp_path / "closed.csv"
    path.write_text("1,2\n")
    path.chmod(0)
    with pytest.raises(InputError, match="Permission denied"):
        load(path)


def test_what_was_decided_is_said(tmp_path: Path) -> None:
    found = read(tmp_path, "# c\nid,date,level\n7,2020-01-01,2\n\n8,2020-01-01T00:00:00.5,3\n")
    assert found.rows == [(1577836800, 7.0, ""), (1577836800, 8.0, "")]
    assert found.notes == (
        "columns: timestamp from 'date', value from 'id', unit empty",
        "comment lines before the first reading: 1",
        "blank lines passed over: 1",
        "timestamps whose fraction of a second was cut off: 1",
    )


def test_limit_is_said_only_when_it_cut(tmp_path: Path) -> None:
    text = "time,value\n1,2\n2,3\n3,4\n"
    assert "cut after 2 readings (--limit)" in read(tmp_path, text, 2).notes
    assert not any("cut" in note for note in read(tmp_path, text, 3).notes)


def test_lines_after_the_limit_are_not_read(tmp_path: Path) -> None:
    assert len(read(tmp_path, "time,value\n1,2\n2,3\n4,5\nbroken\n", 2).rows) == 2


def test_units_are_one_object(tmp_path: Path) -> None:
    found = rows(tmp_path, "1,2,kelvin\n3,4,kelvin\n")
    assert found[0][2] is found[1][2]


# ---------------------------------------------------------------------------------------- captures


def headers(text: str) -> bytes:
    """A frame without a payload, of the given hexadecimal digits behind the addresses."""
    return bytes(12) + bytes.fromhex(text)


@pytest.mark.parametrize("name", RECORDED)
def test_capture(tmp_path: Path, name: str) -> None:
    found = read(tmp_path, recorded(name))
    assert isinstance(found.rows, Frames) and found.notes == ("a capture: length of each frame",)
    assert len(found.rows) == len(found.rows.frames) > 0
    for (when, length, unit), (time_ns, data) in zip(found.rows, found.rows.frames, strict=True):
        assert (when, length, unit) == (time_ns // 10**9, len(data), "bytes")
    assert [tuple(map(type, row)) for row in found.rows[:1]] == [(int, float, str)]


def test_pcapng_capture(tmp_path: Path) -> None:
    made = Section(">").interface(101).packet(b"abc", 5_000_000)
    found = read(tmp_path, made.data)
    assert found.rows == [(5, 3.0, "bytes")]
    assert isinstance(found.rows, Frames) and found.rows.frames == []
    assert found.notes[1] == "frames that are no whole TCP or UDP over IP in Ethernet: 1"


def test_frames_without_ports_are_counted(tmp_path: Path) -> None:
    good = next(data for _, data in read_frames(tmp_path, recorded("dns")))
    bad = [
        b"", headers("0806"), headers("0800 45"), headers("86dd"), headers("8100 0001 0800"),
        good[:23] + b"\1" + good[24:],  # its protocol, so that the checksum is wrong too
        good[:40], good[:14] + b"\x46" + good[15:],
    ]  # fmt: skip
    found = read(tmp_path, classic([(i, 0, data) for i, data in enumerate([*bad, good])]))
    assert isinstance(found.rows, Frames)
    assert [data for _, data in found.rows.frames] == [good]
    assert found.notes[1].endswith(f": {len(bad)}")


def read_frames(tmp_path: Path, data: bytes) -> list[tuple[int, bytes]]:
    found = read(tmp_path, data).rows
    assert isinstance(found, Frames)
    return found.frames


def test_capture_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = read(tmp_path, recorded("http"), 5)
    assert len(found.rows) == 5 and found.notes[1] == "cut after 5 readings (--limit)"
    monkeypatch.setattr(loading, "MAX_FRAMES", 7)
    found = read(tmp_path, recorded("http"))
    assert len(found.rows) == 81 and len(read_frames(tmp_path, recorded("http"))) == 7
    assert found.notes[1] == "headers are decoded of the first 7 frames"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (recorded("dns")[:-1], r"pcap\(\) frame 15: byte \d+: wanted 93 bytes, had 92"),
        (recorded("dns")[:10], r"pcap\(\): byte 0: wanted 24 bytes, had 10"),
        (classic([]), "a capture without frames"),
    ],
)
def test_broken_capture(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(InputError, match=f"readings.txt: {message}"):
        read(tmp_path, data)
