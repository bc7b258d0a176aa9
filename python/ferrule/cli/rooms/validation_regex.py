"""Patterns that answer yes or no. `by hand` is what one writes with `re`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ferrule.cli.load import Reading
from ferrule.cli.registry import Footprint, Implementation, Namespace, Operation, Room

_VARIANTS = r"""
NAME, MAIL, ZIP = r"^[a-zA-Z0-9_]+$", r"^[^@\s]+@[^@\s]+\.[a-z]{2,}$", r"^\d{5}(-\d{4})?$"
name, mail, zip_code, nested = Regex(NAME), Regex(MAIL), Regex(ZIP), Regex(r"^(?:\w+-?)+\.$")

def made(patterns):
    return [Regex(pattern) for pattern in patterns]
"""

_BY_HAND = "from re import compile as Regex\n"
_OURS = "from ferrule{}.validation import Regex\n"

PURE = Implementation("pure", "pure", _OURS.format(".pure"), "", _VARIANTS)
ARTICLE = Implementation("by hand", "article", _BY_HAND, "", _VARIANTS)
NATIVE = Implementation("ferrule", "native", _OURS.format(""), "", _VARIANTS)


def _given(namespace: Namespace, rows: Sequence[Reading]) -> None:
    """Texts of up to 32 characters, good ones and bad ones."""
    count = range(len(rows))
    namespace["names"] = [f"user_{i}"[: 5 + i % 28] for i in count]
    namespace["full"] = [f"user_{i}".ljust(32, "x") for i in count]
    namespace["mails"] = [f"john{i % 97}@example.{'com' if i % 4 else 'c'}" for i in count]
    namespace["zips"] = [f"{10000 + i % 9999}{'-6789' if i % 2 else ''}" for i in count]
    namespace["wide"] = [f"gülşen_{i}" for i in count]
    namespace["long"] = ["word-" * 2000]
    namespace["patterns"] = [f"^[a-z]{{2,{i + 3}}}-v{i}$" for i in range(len(rows[:16]))]


_ask = partial(
    Operation,
    area="validation",
    setup=_given,
    outcome="bool(result)",
    repeat=4,
)

ROOM = Room(
    "regex",
    "Patterns",
    (PURE, ARTICLE, NATIVE),
    (
        _ask("name", title="name", statement="name.search(s)", loop="for s in names"),
        _ask("full", title="name of 32 bytes", statement="name.search(s)", loop="for s in full"),
        _ask("mail", title="e-mail pattern", statement="mail.search(s)", loop="for s in mails"),
        _ask("zip", title="ZIP code", statement="zip_code.search(s)", loop="for s in zips"),
        _ask("match", title="ZIP, match", statement="zip_code.match(s)", loop="for s in zips"),
        _ask("fullmatch", title="fullmatch", statement="name.fullmatch(s)", loop="for s in names"),
        _ask("wide", title="not ASCII", statement="name.search(s)", loop="for s in wide"),
        _ask(
            "nested",
            title="10 kB against nested quantifiers",
            statement="nested.search(s)",
            loop="for s in long",
            repeat=1,
            instead={"pure": None, "by hand": None},  # they would not come back
        ),
        _ask(
            "make",
            title="make, known to re",
            statement="Regex(p)",
            loop="for p in patterns",
            outcome="result.pattern",
            repeat=1,
        ),
    ),
    {},
    baseline="by hand",
    footprints=tuple(
        Footprint(
            name, name, "made(given)", "['^[a-z]+$' for _ in times]", traced=True, most=20_000
        )
        for name in ("ferrule", "by hand")
    ),
    counted=("pattern", "patterns"),
    held="Bytes of a pattern's object.",
    headline=("mail", "search(s)"),
)
