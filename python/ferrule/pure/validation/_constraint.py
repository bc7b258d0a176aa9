"""Twins of the constraints, and of what an annotation says taken apart."""

from __future__ import annotations

import functools
import sys
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ._email import Email
from ._regex import Regex

NoneType = type(None)
#: Alias[int] of a type alias has this type too.
_Alias: Any = getattr(typing, "TypeAliasType", ())


class Constraint:
    """What all constraints are instances of."""

    __slots__ = ()

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        if cls is Constraint:
            raise TypeError("cannot create 'ferrule.validation.Constraint' instances")
        return super().__new__(cls)


class _Values(Constraint):
    """A constraint made of values: equal by kind, and type and value of each."""

    __slots__ = ("_values",)
    __match_args__: ClassVar[tuple[str, ...]] = ()
    _values: tuple[Any, ...]

    def _keep(self, *values: Any) -> None:
        object.__setattr__(self, "_values", values)

    def __getattr__(self, name: str) -> Any:
        if name in type(self).__match_args__:
            return self._values[type(self).__match_args__.index(name)]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__} does not change")

    def _word(self) -> str | None:
        return None

    def __repr__(self) -> str:
        shown = ", ".join(map(safe_repr, (value for value in self._values if value is not None)))
        return f"{type(self).__name__}({shown})"

    def __str__(self) -> str:
        return self._word() or repr(self)

    def __hash__(self) -> int:
        word = self._word()
        return hash(word) if word else hash((type(self), self._values))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, str) and (word := self._word()):
            return word == other
        if not isinstance(other, _Values) or type(self) is not type(other):
            return NotImplemented
        return all(
            a is b or (type(a) is type(b) and bool(a == b))
            for a, b in zip(self._values, other._values, strict=True)
        )

    def __reduce__(self) -> Any:
        return type(self), tuple(value for value in self._values if value is not None)

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: Any) -> Any:
        return self


def name_of(cls: type) -> str:
    return cls.__name__


def safe_repr(value: Any) -> str:
    """repr(value) for a text; what stands for it where repr raises (ints have a limit)."""
    try:
        return repr(value)
    except (MemoryError, RecursionError):
        raise
    except Exception:
        if isinstance(value, int):
            return f"int of {int.bit_length(value)} bits"
        return f"<{name_of(type(value))} object>"


def is_nan(value: Any) -> bool:
    """Is it unequal to itself? Decimal's signalling NaN does not compare."""
    try:
        return not value == value  # noqa: SIM201
    except ArithmeticError:
        return True
    except (MemoryError, RecursionError):
        raise
    except Exception:  # it does not compare
        return False


def _bound(kind: str, value: Any) -> None:
    if value is None:
        raise TypeError(f"{kind}: wanted a bound, got None")
    if is_nan(value):
        raise ValueError(f"{kind}: NaN is no bound")


class Gt(_Values):
    """Greater than gt."""

    __slots__ = ()
    __match_args__ = ("gt",)

    def __init__(self, gt: Any) -> None:
        _bound("Gt", gt)
        self._keep(gt)


class Ge(_Values):
    """Greater than or equal to ge."""

    __slots__ = ()
    __match_args__ = ("ge",)

    def __init__(self, ge: Any) -> None:
        _bound("Ge", ge)
        self._keep(ge)


class Lt(_Values):
    """Less than lt."""

    __slots__ = ()
    __match_args__ = ("lt",)

    def __init__(self, lt: Any) -> None:
        _bound("Lt", lt)
        self._keep(lt)


class Le(_Values):
    """Less than or equal to le."""

    __slots__ = ()
    __match_args__ = ("le",)

    def __init__(self, le: Any) -> None:
        _bound("Le", le)
        self._keep(le)


class MultipleOf(_Values):
    """value % multiple_of is 0."""

    __slots__ = ()
    __match_args__ = ("multiple_of",)

    def __init__(self, multiple_of: Any) -> None:
        divides = any(hasattr(type(multiple_of), name) for name in ("__mod__", "__rmod__"))
        if not divides or isinstance(multiple_of, str | bytes | bytearray):
            raise TypeError(f"MultipleOf: wanted a number, got {name_of(type(multiple_of))}")
        if not multiple_of or is_nan(multiple_of):
            raise ValueError(f"MultipleOf: wanted a number other than 0, got {multiple_of!r}")
        self._keep(multiple_of)


def _length(kind: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{kind}: wanted a length (int), got {name_of(type(value))}")
    if not 0 <= value <= sys.maxsize:
        got = safe_repr(value)
        raise ValueError(f"{kind}: wanted a length from 0 to {sys.maxsize}, got {got}")
    return int(value)


class MinLength(_Values):
    """len(value) >= min_length."""

    __slots__ = ()
    __match_args__ = ("min_length",)

    def __init__(self, min_length: int) -> None:
        self._keep(_length("MinLength", min_length))

    def _word(self) -> str:
        return f"min_len:{self._values[0]}"


class MaxLength(_Values):
    """len(value) <= max_length."""

    __slots__ = ()
    __match_args__ = ("max_length",)

    def __init__(self, max_length: int) -> None:
        self._keep(_length("MaxLength", max_length))

    def _word(self) -> str:
        return f"max_len:{self._values[0]}"


class Length(_Values):
    """min_length <= len(value) <= max_length."""

    __slots__ = ()
    __match_args__ = ("min_length", "max_length")

    def __init__(self, min_length: int, max_length: int | None = None) -> None:
        low = _length("Length", min_length)
        high = None if max_length is None else _length("Length", max_length)
        if high is not None and low > high:
            raise ValueError(f"Length: the minimum, {low}, is above the maximum, {high}")
        self._keep(low, high)

    def __iter__(self) -> Iterator[_Values]:
        yield MinLength(self._values[0])
        if self._values[1] is not None:
            yield MaxLength(self._values[1])


def contradict(low: Any, low_open: bool, high: Any, high_open: bool) -> bool:
    """Is nothing above low and below high?"""
    return not (low < high if low_open or high_open else low <= high)


class Interval(_Values):
    """Several bounds at once."""

    __slots__ = ()
    __match_args__ = ("gt", "ge", "lt", "le")

    def __init__(self, *, gt: Any = None, ge: Any = None, lt: Any = None, le: Any = None) -> None:
        bounds = (gt, ge, lt, le)
        for bound in bounds:
            if bound is not None:
                _bound("Interval", bound)
        if bounds == (None,) * 4:
            raise TypeError("Interval: wanted a bound")
        for low, above in (("gt", ">"), ("ge", ">=")):
            for high, below in (("lt", "<"), ("le", "<=")):
                self._compare(low, above, high, below, bounds)
        self._keep(*bounds)

    def __iter__(self) -> Iterator[_Values]:
        for kind, value in zip((Gt, Ge, Lt, Le), self._values, strict=True):
            if value is not None:
                yield kind(value)

    def _compare(self, low: str, above: str, high: str, below: str, bounds: Any) -> None:
        a, b = (bounds[self.__match_args__.index(name)] for name in (low, high))
        if a is None or b is None:
            return
        try:
            empty = contradict(a, above == ">", b, below == "<")
        except TypeError:
            raise TypeError(f"Interval: {low} and {high} cannot be compared") from None
        if empty:
            text = f"{above} {safe_repr(a)} and {below} {safe_repr(b)}"
            raise ValueError(f"Interval: nothing is {text}")

    def _given(self) -> dict[str, Any]:
        pairs = zip(self.__match_args__, self._values, strict=True)
        return {name: value for name, value in pairs if value is not None}

    def __repr__(self) -> str:
        given = (f"{name}={safe_repr(value)}" for name, value in self._given().items())
        return f"Interval({', '.join(given)})"

    def __reduce__(self) -> Any:
        return functools.partial(Interval, **self._given()), ()


class Predicate(_Values):
    """func(value) is true."""

    __slots__ = ()
    __match_args__ = ("func",)

    def __init__(self, func: Any) -> None:
        if not callable(func):
            raise TypeError(f"Predicate: wanted a callable, got {name_of(type(func))}")
        self._keep(func)


class Timezone(_Values):
    """A datetime or time without a time zone (None), with any (...), or with the one given."""

    __slots__ = ()
    __match_args__ = ("tz",)

    def __init__(self, tz: Any) -> None:
        if tz not in (None, ...) and not isinstance(tz, str) and not hasattr(tz, "utcoffset"):
            got = name_of(type(tz))
            raise TypeError(f"Timezone: wanted None, ..., a name or a tzinfo, got {got}")
        self._keep(tz)

    def __repr__(self) -> str:
        return f"Timezone({self._values[0]!r})"

    def __reduce__(self) -> Any:
        return Timezone, self._values


class Doc(_Values):
    """What the value is for."""

    __slots__ = ()
    __match_args__ = ("documentation",)

    def __init__(self, documentation: str) -> None:
        if not isinstance(documentation, str):
            raise TypeError(f"Doc: wanted a str, got {name_of(type(documentation))}")
        self._keep(documentation)


class _Constant(_Values):
    __slots__ = ("_text",)

    def __init__(self, name: str, text: str | None) -> None:
        self._keep(name)
        object.__setattr__(self, "_text", text)

    def __call__(self) -> Any:
        return self

    def _word(self) -> str | None:
        return typing.cast("str | None", self._text)

    def __repr__(self) -> str:
        return str(self._values[0])

    def __reduce__(self) -> str:
        return str(self._values[0])


Strip = _Constant("Strip", None)
Sensitive = _Constant("Sensitive", "sensitive_data")

# ---- what an annotation says

_FORMS = {
    "Any": "any",
    "Self": "any",
    "Never": "never",
    "NoReturn": "never",
    "LiteralString": "text",
    "TypeGuard": "truth",
    "TypeIs": "truth",
    "Literal": "literal",
    "Union": "union",
    "Final": "inner",
    "Required": "inner",
    "NotRequired": "inner",
    "ReadOnly": "inner",
    "ClassVar": "class",
    "Unpack": "unpack",
}

_FOREIGN = {
    "Gt": (Gt, "gt"),
    "Ge": (Ge, "ge"),
    "Lt": (Lt, "lt"),
    "Le": (Le, "le"),
    "MultipleOf": (MultipleOf, "multiple_of"),
    "MinLen": (MinLength, "min_length"),
    "MaxLen": (MaxLength, "max_length"),
    "Predicate": (Predicate, "func"),
    "Timezone": (Timezone, "tz"),
    "Doc": (Doc, "documentation"),
}


def form_of(form: Any) -> str | None:
    """What a special form of typing, or of typing_extensions, stands for."""
    for module in ("typing", "typing_extensions"):
        for name, code in _FORMS.items():
            if form is getattr(sys.modules.get(module), name, ()):
                return code
    return None


@dataclass
class Facts:
    """What an annotation says."""

    base: Any = None
    found: list[Any] = field(default_factory=list)
    doc: str | None = None
    optional: bool = False
    sensitive: bool = False

    def add(self, meta: Any) -> None:
        """Take a piece of metadata, ours, another's or none at all."""
        if isinstance(meta, Length | Interval):
            for part in meta:
                self.add(part)
        elif isinstance(meta, Constraint | Regex) or meta is Email:
            self.found.append(meta)
            self.sensitive = self.sensitive or meta is Sensitive
            if isinstance(meta, Doc):
                self.doc = meta.documentation
        elif isinstance(meta, str):
            kind, _, number = meta.partition(":")
            if meta == "sensitive_data":
                self.add(Sensitive)
            elif kind in ("min_len", "max_len") and ":" in meta:
                if not (number.isascii() and number.isdigit() and len(number) < 1000):
                    raise ValueError(f"{meta!r} wants a length after the colon")
                self.add((MinLength if kind == "min_len" else MaxLength)(int(number)))
        elif not isinstance(meta, type):
            self._add_foreign(meta)
        elif meta is not Constraint and issubclass(meta, Constraint | Regex):
            raise TypeError(f"{meta.__name__} is a class: write {meta.__name__}(...)")

    def _add_foreign(self, meta: Any) -> None:
        for module in ("annotated_types", "typing_extensions"):
            for name, (kind, attribute) in _FOREIGN.items():
                if isinstance(meta, getattr(sys.modules.get(module), name, ())):
                    return self.add(kind(getattr(meta, attribute)))
        if getattr(meta, "__is_annotated_types_grouped_metadata__", None) is True:
            for part in meta:
                self.add(part)

    def unwrap(self, tp: Any) -> Any:
        """The type within; constraints are added from the inside out."""
        if isinstance(tp, type):
            return tp
        if tp is None:
            return NoneType
        origin = typing.get_origin(tp)
        if origin is typing.Annotated:
            base = self.unwrap(tp.__origin__)
            for meta in tp.__metadata__:
                self.add(meta)
            return base
        if isinstance(tp, typing.NewType):
            return self.unwrap(tp.__supertype__)
        if is_alias(tp):
            return self.unwrap(alias_value(tp))
        if origin is types.UnionType or form_of(origin) == "union":
            rest = tuple(arg for arg in tp.__args__ if arg is not NoneType)
            self.optional = self.optional or len(rest) < len(tp.__args__)
            if len(rest) == 1:
                return self.unwrap(rest[0])
            return tp if len(rest) == len(tp.__args__) else typing.Union[rest]  # noqa: UP007
        if form_of(origin) in ("inner", "class"):
            return self.unwrap(tp.__args__[0])
        return tp


def is_alias(tp: Any) -> bool:
    """Is it a type alias, or one with its parameters?"""
    generic = isinstance(tp, types.GenericAlias)
    return isinstance(tp.__origin__ if generic else tp, _Alias)


def alias_value(tp: Any) -> Any:
    """What a type alias stands for."""
    alias: Any = tp
    generic = isinstance(tp, types.GenericAlias)
    return alias.__origin__.__value__[alias.__args__] if generic else alias.__value__


def facts_of(tp: Any) -> Facts:
    """An annotation taken apart."""
    facts = Facts()
    facts.base = facts.unwrap(tp)
    if isinstance(facts.base, str | typing.ForwardRef):
        raise TypeError(f"annotation {facts.base!r} is a name that has not been resolved")
    return facts


def constraints(tp: Any, /) -> tuple[Any, ...]:
    """The constraints that an annotation carries."""
    try:
        return tuple(facts_of(tp).found)
    except (TypeError, ValueError, NameError) as error:
        kind = ValueError if isinstance(error, ValueError) else TypeError
        raise kind(f"constraints(): {error}") from None
