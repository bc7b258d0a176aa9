"""What a type checker should refuse. Checked, never run: an ignore that is not needed fails."""

from __future__ import annotations

from ferrule.records import Record, f64, i64, replace


class Reading(Record):
    timestamp: i64
    value: f64 = 0.0


class Frozen(Record, frozen=True):
    x: i64


Reading()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
Reading("now")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Reading(1, 2.0, 3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
Reading(1, unit="C")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
Reading(1).timestamp = "now"  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
Reading(1).unit  # type: ignore[attr-defined]  # pyright: ignore  # noqa: B018
Frozen(1).x = 2  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
Frozen(1) < Frozen(2)  # type: ignore[operator]  # pyright: ignore  # noqa: B015
replace(1)  # type: ignore  # pyright: ignore
