"""Bars: what a stored run must reach. A bar reads its figure out of a run's JSON document."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from ferrule.cli.measure import Spread, spread

#: Instances, and rows of a container, from which a bar takes its figure.
LARGE = 1_000_000

#: One room of a run, as `ferrule compare --json` writes it.
Run = Mapping[str, Any]


class Missing(LookupError):
    """The run does not hold what the bar is about."""


class Figure(Protocol):
    """Takes one figure from a run."""

    def of(self, run: Run, /) -> Spread:
        """The figure; `Missing` if the run has none."""


def rounds(run: Run, operation: str, implementation: str) -> list[float]:
    """Nanoseconds of every round of one case."""
    for item in run["operations"]:
        if item["name"] == operation and implementation in item["timings"]:
            if (item.get("rows") or LARGE) < LARGE:
                raise Missing(f"measured with {item['rows']:,} rows only")
            found: list[float] = item["timings"][implementation]["rounds"]
            return found
    raise Missing(f"{operation} of {implementation}")


def _memory(run: Run, implementation: str) -> Mapping[str, Any]:
    if implementation not in run["memory"]:
        raise Missing(f"memory of {implementation}")
    found: Mapping[str, Any] = run["memory"][implementation]
    return found


def _large(run: Run, implementation: str) -> Mapping[str, Any]:
    found = _memory(run, implementation)
    if found["instances"] < LARGE:
        raise Missing(f"measured with {found['instances']:,} instances only")
    return found


def _exact(value: float | None, what: str) -> Spread:
    if value is None:
        raise Missing(what)
    return Spread(value, value, value)


@dataclass(frozen=True, slots=True)
class Ratio:
    """Time of `over` / time of `under` in one operation (or `under` in another of its family)."""

    operation: str
    over: str
    under: str
    below: str = ""

    def of(self, run: Run, /) -> Spread:
        """Median of the ratios of the rounds."""
        over = rounds(run, self.operation, self.over)
        under = rounds(run, self.below or self.operation, self.under)
        return spread([a / b if b > 0 else math.inf for a, b in zip(over, under, strict=True)])


@dataclass(frozen=True, slots=True)
class Difference:
    """Nanoseconds that `over` takes more than `under` in one operation."""

    operation: str
    over: str
    under: str

    def of(self, run: Run, /) -> Spread:
        """Median of the differences of the rounds."""
        over = rounds(run, self.operation, self.over)
        under = rounds(run, self.operation, self.under)
        return spread([a - b for a, b in zip(over, under, strict=True)])


@dataclass(frozen=True, slots=True)
class Fixed:
    """Time of one operation in a unit of its own."""

    operation: str
    implementation: str
    scale: float

    def of(self, run: Run, /) -> Spread:
        """Median of the rounds."""
        taken = rounds(run, self.operation, self.implementation)
        return spread([value * self.scale for value in taken])


@dataclass(frozen=True, slots=True)
class Resident:
    """Resident bytes of one instance of a million, with its list slot and values."""

    implementation: str

    def of(self, run: Run, /) -> Spread:
        """One figure: memory is measured once."""
        return _exact(_large(run, self.implementation)["resident"], "resident memory")


@dataclass(frozen=True, slots=True)
class Bytes:
    """Traced bytes of one of a million of `over` / those of `under`."""

    over: str
    under: str

    def of(self, run: Run, /) -> Spread:
        """One figure: memory is measured once, and the same every time."""
        over, under = (_large(run, name)["traced"] for name in (self.over, self.under))
        return _exact(over / under if over is not None and under else None, "traced memory")


@dataclass(frozen=True, slots=True)
class Collect:
    """What the instances in their list add to `gc.collect()`, over what those of another class add.

    `bare` takes off what a list of as many plain objects adds: walking the list is not the
    instances' doing and alone is more than a twentieth of what slots objects add.
    """

    over: str
    under: str
    bare: bool = False

    def of(self, run: Run, /) -> Spread:
        """One figure; less than nothing counts as nothing."""
        base = "collect_list_ms" if self.bare else "collect_before_ms"
        held = [_memory(run, self.over), _memory(run, self.under)]
        if any(item[base] is None for item in held):
            raise Missing("collector time before")
        added = [max(item["collect_ms"] - item[base], 0.0) for item in held]
        return _exact(added[0] / added[1] if added[1] else None, "collector time")


@dataclass(frozen=True, slots=True)
class Import:
    """Milliseconds of the import after `typing`."""

    implementation: str

    def of(self, run: Run, /) -> Spread:
        """Median of the processes."""
        taken = run["startup_ms"].get(self.implementation)
        if not taken:
            raise Missing(f"import of {self.implementation}")
        return spread(taken)


@dataclass(frozen=True, slots=True)
class Equal:
    """1 if all implementations gave the same result, and shared memory where the outcome asks."""

    operation: str

    def of(self, run: Run, /) -> Spread:
        """One figure; the outcome is compared before anything is timed."""
        found = [item["equal"] for item in run["operations"] if item["name"] == self.operation]
        return _exact(float(all(found)) if found else None, self.operation)


@dataclass(frozen=True, slots=True)
class Bar:
    """A figure and the most (or with `least` the least) it may be; `other` by Python version.

    Without a limit the figure is shown beside the others and not judged.
    """

    title: str
    figure: Figure
    limit: float | None = None
    other: Mapping[str, float] = field(default_factory=dict)
    least: bool = False

    def limit_on(self, python: str) -> float | None:
        """The limit for a Python version such as 3.11."""
        return self.other.get(python, self.limit)

    def passes(self, value: float, python: str) -> bool:
        """Whether a figure reaches the bar."""
        limit = self.limit_on(python)
        if limit is None:
            return True
        return value >= limit if self.least else value <= limit


@dataclass(frozen=True, slots=True)
class Cost:
    """A line of a page's table of costs: nanoseconds, and bytes where `held` names what stays."""

    title: str
    time: Figure
    held: str = ""
