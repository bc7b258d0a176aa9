"""Twin of `Regex`: `re`, and a look at what it cannot do in linear time."""

from __future__ import annotations

import re
from typing import Any

#: Tokens of a pattern; a named one makes it irregular.
_TOKEN = re.compile(
    r"""
      \\0[0-7]{0,2} | \\[0-7]{3}
    | (?P<a_backreference> \\[1-9] | \(\?P= )
    | (?P<a_character_by_its_name> \\N )
    | \\.
    | \[\^?\]? (?: (?P<named> \\N ) | \\. | [^]\\] )* \]
    | (?P<a_lookahead> \(\?[=!] )
    | (?P<a_lookbehind> \(\?<[=!] )
    | (?P<an_atomic_group> \(\?> )
    | (?P<a_conditional_group> \(\?\( )
    | (?P<a_group_with_its_own_kind_of_letters> \(\?[imsx]*[au][imsxau]*(-[imsx]+)?: )
    | \(\?\# [^)]* \)
    | (?: [*+?] | \{ (?: \d+ (?:,\d*)? | ,\d* ) \} ) (?P<a_possessive_quantifier> \+ )?
    | (?P<comment> \# [^\n]* )
    | .
    """,
    re.VERBOSE | re.DOTALL,
)


def _irregular(pattern: str, flags: int) -> tuple[str, int] | None:
    """What no automaton can do and where; None: nothing."""
    at = 0
    while at < len(pattern):
        token = _TOKEN.match(pattern, at)
        assert token is not None
        kind = token.lastgroup
        if kind == "comment" and not flags & re.VERBOSE:
            at += 1
            continue
        if kind == "named":
            return "a character by its name", token.start("named")
        if kind is not None and kind != "comment":
            return kind.replace("_", " "), token.start(kind)
        at = token.end()
    return None


class Regex:
    """A pattern that answers yes or no, as `re` would."""

    __slots__ = ("pattern", "flags", "linear", "_compiled")

    pattern: str
    flags: int
    linear: bool
    _compiled: re.Pattern[str]

    def __init__(self, pattern: str, flags: int = 0, *, linear: bool = False) -> None:
        if not isinstance(pattern, str):
            raise TypeError(f"Regex() argument 1 must be str, not {type(pattern).__name__}")
        pattern = str.__str__(pattern)
        compiled = re.compile(pattern, flags)
        problem = _irregular(pattern, compiled.flags)
        if problem and linear:
            raise ValueError(
                f"Regex() pattern has {problem[0]} at position {problem[1]}, "
                "which takes more than linear time"
            )
        for name, value in (
            ("pattern", pattern),
            ("flags", int(flags)),
            ("linear", problem is None),
            ("_compiled", compiled),
        ):
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"readonly attribute {name!r}")

    def _ask(self, method: str, text: str) -> bool:
        if not isinstance(text, str):
            raise TypeError(f"Regex.{method}() wants a str, not {type(text).__name__!r}")
        return getattr(self._compiled, method)(text) is not None

    def search(self, text: str, /) -> bool:
        """Does the pattern match anywhere in text?"""
        return self._ask("search", text)

    def match(self, text: str, /) -> bool:
        """Does the pattern match at the start of text?"""
        return self._ask("match", text)

    def fullmatch(self, text: str, /) -> bool:
        """Does the pattern match all of text?"""
        return self._ask("fullmatch", text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Regex):
            return NotImplemented
        return (self.pattern, self.flags) == (other.pattern, other.flags)

    def __hash__(self) -> int:
        return hash((self.pattern, self.flags))

    def __repr__(self) -> str:
        return f"Regex({self.pattern!r}{f', {self.flags}' if self.flags else ''})"

    def __str__(self) -> str:
        return f"pattern:{self.pattern}"

    def __reduce__(self) -> tuple[Any, ...]:
        return Regex, (self.pattern, self.flags)
