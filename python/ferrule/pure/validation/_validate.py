"""Twin of `validate`: annotations compiled to checks, which are functions."""

from __future__ import annotations

import collections.abc
import copy
import dataclasses
import operator
import types
import typing
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from .._email_address import reason as why_no_email
from ._constraint import (
    Facts,
    Ge,
    Gt,
    Le,
    Lt,
    MaxLength,
    MinLength,
    MultipleOf,
    NoneType,
    Predicate,
    Strip,
    Timezone,
    alias_value,
    contradict,
    facts_of,
    form_of,
    is_alias,
    safe_repr,
)
from ._email import Email
from ._error import ConstraintError
from ._regex import Regex

#: The places that lead to a value, outermost first: "name", ".field", "[key]".
Path = tuple[Any, ...]
Run = Callable[[Any, Path, bool], Any]


class Refused(Exception):
    """A check's word; broken: by a constraint, not by the type."""

    def __init__(self, text: str, broken: bool = False, place: str = "", value: Any = None) -> None:
        super().__init__(text)
        self.broken, self.place, self.value = broken, place, value
        self.wanted: str | None = None
        #: Where it was refused; within: the type was right there, an inner one not.
        self.depth, self.within = 0, False


class Key(NamedTuple):
    """A step of a path that is a key; plan: what says whether it is shown."""

    key: Any
    plan: Plan | None = None


@dataclasses.dataclass
class Plan:
    """What an annotation means: its name in errors, how to test, how to run."""

    shape: str
    text: str
    run: Run
    type: Any = None
    #: The class whose fields it is about.
    owner: Any = None
    children: tuple[Plan, ...] = ()
    optional: bool = False
    sensitive: bool = False
    checks: list[Any] = dataclasses.field(default_factory=list)

    def __call__(self, value: Any, path: Path, hidden: bool) -> Any:
        if self.optional and value is None:
            return None
        hidden = hidden or self.sensitive
        try:
            value = self.run(value, path, hidden)
        except Refused as refused:
            mine = refused.wanted is self.text and refused.depth == len(path)
            if self.optional and mine:
                raise _wrong(_text(self), value, path, hidden, refused.within) from None
            raise
        if Strip in self.checks and isinstance(value, str):
            value = value if value.strip() == value else str.strip(value)
        for check in self.checks:
            _apply(self, check, value, path, hidden)
        return value

    def hides(self, seen: set[Any] | None = None) -> bool:
        """Does it hold something sensitive, itself, in a child or in a field of its class?"""
        seen = set() if seen is None else seen
        if self.sensitive or id(self) in seen or len(seen) > 128:
            return self.sensitive or id(self) not in seen
        seen.add(id(self))
        if self.owner is not None and self.owner not in seen:
            seen.add(self.owner)
            try:
                if any(one.plan.hides(seen) for one in _fields(self.owner)):
                    return True
            except (TypeError, ValueError):
                return True
        unknown = self.shape == "alias" and not self.children
        return unknown or any(child.hides(seen) for child in self.children)


def _shown(value: Any) -> str:
    text = safe_repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _place(path: Path, hidden: bool) -> str:
    text = ""
    for step in path:
        if isinstance(step, int):
            text = f"{text or 'value'}[{step}]"
        elif isinstance(step, Key):
            hides = hidden or (step.plan is not None and step.plan.hides())
            text = f"{text or 'value'}[{'...' if hides else _shown(step.key)}]"
        else:
            text = f"{text}.{step}" if text else str(step)
    return text or "value"


def _wrong(
    plan_text: str, value: Any, path: Path, hidden: bool, within: bool = False, got: str = ""
) -> Refused:
    got = got or type(value).__name__
    refused = Refused(f"{_place(path, hidden)} must be {plan_text}, got {got}")
    refused.wanted, refused.depth, refused.within = plan_text, len(path), within
    return refused


def _within(text: str) -> Refused:
    refused = Refused(text)
    refused.within = True
    return refused


def _broken(wanted: str, value: Any, path: Path, hidden: bool) -> Refused:
    place = _place(path, hidden)
    got = "" if hidden else f", got {_shown(value)}"
    return Refused(f"{place} must {wanted}{got}", True, place, None if hidden else value)


# ---- constraints

_BOUNDS = {Gt: (operator.gt, ">"), Ge: (operator.ge, ">="), Lt: (operator.lt, "<")}
_BOUNDS[Le] = (operator.le, "<=")


def _zone(value: Any, tz: Any) -> bool:
    if not hasattr(value, "tzinfo"):
        raise TypeError
    zone = value.tzinfo
    if tz is None or tz is ...:
        return (zone is None) == (tz is None)
    return zone is not None and bool(str(zone) == tz if isinstance(tz, str) else zone == tz)


def _meets(check: Any, value: Any) -> tuple[bool, str]:
    """Does the value meet it, and what it wants: "be >= 5"."""
    kind = type(check)
    if kind in _BOUNDS:
        operation, sign = _BOUNDS[kind]
        (bound,) = check._values
        return bool(operation(value, bound)), f"be {sign} {safe_repr(bound)}"
    if kind is MultipleOf:
        if isinstance(value, str | bytes):
            raise TypeError
        return not value % check.multiple_of, f"be a multiple of {safe_repr(check.multiple_of)}"
    if kind in (MinLength, MaxLength):
        unit = "character" if isinstance(value, str) else "item"
        unit = "byte" if isinstance(value, bytes | bytearray) else unit
        (number,) = check._values
        side = "least" if kind is MinLength else "most"
        good = len(value) >= number if kind is MinLength else len(value) <= number
        return good, f"have at {side} {number} {unit}{'' if number == 1 else 's'}"
    if kind is Timezone:
        return _zone(value, check.tz), {
            None: "have no time zone",
            ...: "have a time zone",
        }.get(check.tz, f"have the time zone {check.tz}")
    return True, ""


def _text_check(check: Any, value: Any, hidden: bool) -> tuple[bool, str]:
    if not isinstance(value, str):
        raise TypeError
    if isinstance(check, Regex):
        return bool(check.search(value)), f"match {check.pattern!r}"
    reason = why_no_email(value)
    return reason is None, "be an email address" + ("" if hidden else f" ({reason})")


def _apply(plan: Plan, check: Any, value: Any, path: Path, hidden: bool) -> None:
    if isinstance(check, Predicate):
        if not check.func(value):
            name = getattr(check.func, "__qualname__", None)
            text = name if isinstance(name, str) else _shown(check.func)
            raise _broken(f"satisfy {text}", value, path, hidden or plan.hides())
        return
    try:
        if isinstance(check, Regex) or check is Email:
            good, wanted = _text_check(check, value, hidden or plan.hides())
        else:
            good, wanted = _meets(check, value)
    except ArithmeticError:  # Decimal's NaN
        good, wanted = False, _meets(check, type(value)(0))[1]
    except TypeError:
        got = type(value).__name__
        text = f"{_place(path, hidden)}: {got} does not go with {check!r}"
        raise _within(text) from None
    if not good:
        raise _broken(wanted, value, path, hidden or plan.hides())


_NUMBERS = ("bool", "int", "float")


def _suits(plan: Plan, check: Any) -> bool:
    kind, shape, cls = type(check), plan.shape, plan.type
    if shape == "union":
        return any(_suits(child, check) for child in plan.children)
    if shape in ("any", "literal", "alias"):
        return True
    if kind in _BOUNDS:
        (bound,) = check._values
        return (
            (shape in _NUMBERS and not isinstance(bound, str | bytes))
            or (shape == "str" and isinstance(bound, str))
            or (shape == "bytes" and isinstance(bound, bytes | bytearray))
            or (shape == "class" and not issubclass(cls, list | dict | type))
            or shape in ("tuple", "fields")
            or (shape == "items" and cls in (set, frozenset, tuple))
        )
    if kind in (MinLength, MaxLength):
        abstract = type(cls) is not type or shape in ("str", "bytes")
        return shape != "callable" and (abstract or hasattr(cls, "__len__"))
    if kind is MultipleOf:
        return shape in (*_NUMBERS, "fields") or (shape == "class" and hasattr(cls, "__mod__"))
    if kind is Timezone:
        return shape in ("class", "fields")
    if kind is Predicate:
        return True
    return isinstance(cls, type) and issubclass(cls, str)


def _constrain(plan: Plan, found: list[Any]) -> None:
    for check in found:
        if repr(check) == "Sensitive" or type(check).__name__ == "Doc":
            continue
        if not _suits(plan, check):
            raise TypeError(f"{check!r} does not apply to {_text(plan)}")
        plan.checks.append(check)
    for low in plan.checks:
        for high in plan.checks:
            meets = isinstance(low, MinLength) and isinstance(high, MaxLength)
            if meets or (isinstance(low, Gt | Ge) and isinstance(high, Lt | Le)):
                (a,), (b,) = low._values, high._values
                if contradict(a, isinstance(low, Gt), b, isinstance(high, Lt)):
                    raise ValueError(f"{low!r} and {high!r} leave nothing")


# ---- types


def _instance(text: str, kinds: Any, then: Run | None = None) -> Run:
    def run(value: Any, path: Path, hidden: bool) -> Any:
        if not isinstance(value, kinds):
            raise _wrong(text, value, path, hidden)
        return then(value, path, hidden) if then else value

    return run


def _annotated(cls: type) -> bool:
    return any(base.__dict__.get("__annotations__") for base in cls.__mro__)


_OWN: dict[Any, tuple[str, Any]] = {
    bool: ("bool", bool),
    int: ("int", int),
    float: ("float", (float, int)),
    complex: ("complex", (complex, float, int)),
    str: ("str", str),
    bytes: ("bytes", bytes),
    NoneType: ("None", NoneType),
}


def _any() -> Plan:
    return Plan("any", "Any", lambda value, path, hidden: value)


def _class(cls: Any) -> Plan:
    if cls is object or form_of(cls) == "any":
        return _any()
    if cls in _OWN:
        shape, kinds = _OWN[cls]
        return Plan(shape, shape, _instance(shape, kinds), cls)
    if issubclass(cls, dict) and hasattr(cls, "__required_keys__"):
        return Plan("typed_dict", "dict", _instance("dict", dict, _typed_dict(cls)), dict, cls)
    name = cls.__name__
    if getattr(cls, "_is_protocol", False) is True:
        if not getattr(cls, "_is_runtime_protocol", False):
            raise TypeError(f"annotation {cls!r} is a protocol without runtime_checkable")
    elif not hasattr(cls, "_member_map_") and _annotated(cls):
        return Plan("fields", name, _instance(name, cls, _object(cls)), cls, cls)
    return Plan("class", name, _instance(name, cls), cls)


def _object(cls: type) -> Run:
    def run(value: Any, path: Path, hidden: bool) -> Any:
        for one in fields_of(cls):
            try:
                item = getattr(value, one.name)
            except AttributeError:
                continue
            one.plan(item, (*path, one.name), hidden)
        return value

    return run


def _typed_dict(cls: Any) -> Run:
    def run(value: Any, path: Path, hidden: bool) -> Any:
        changed = {}
        for one in fields_of(cls):
            if one.name in value:
                item = one.plan(value[one.name], (*path, Key(one.name)), hidden)
                if item is not value[one.name]:
                    changed[one.name] = item
            elif one.name in cls.__required_keys__:
                raise _within(f"{_place(path, hidden)} must have the key {one.name!r}")
        return {**value, **changed} if changed else value

    return run


def _items(child: Plan) -> Run:
    def run(value: Any, path: Path, hidden: bool) -> Any:
        if not isinstance(value, collections.abc.Collection) or isinstance(value, Iterator):
            return value
        if isinstance(value, str) and child.shape == "str" and not child.checks:
            return value
        items = list(value)
        made = [child(item, (*path, i), hidden) for i, item in enumerate(items)]
        if all(map(operator.is_, items, made)):
            return value
        if isinstance(value, str):
            return value
        if isinstance(value, collections.deque):
            return _filled(value, lambda like: like.extend(made))
        kinds: tuple[Any, ...] = (tuple, frozenset)
        other = set if isinstance(value, collections.abc.Set) else list
        return next((kind for kind in kinds if isinstance(value, kind)), other)(made)

    return run


def _filled(value: Any, fill: Callable[[Any], Any]) -> Any:
    """A container like this one, subclass, factory and all, with other items."""
    like = copy.copy(value)
    if like is value or type(like) is not type(value):
        return None
    like.clear()
    fill(like)
    return like


def _tuple(children: tuple[Plan, ...]) -> Run:
    def run(value: Any, path: Path, hidden: bool) -> Any:
        if len(value) != len(children):
            place = _place(path, hidden)
            text = f"{place} must be a tuple of {len(children)} items, got {len(value)}"
            raise _within(text)
        pairs = enumerate(zip(children, value, strict=True))
        made = tuple(child(item, (*path, i), hidden) for i, (child, item) in pairs)
        return value if all(map(operator.is_, value, made)) else made

    return run


def _mapping(children: tuple[Plan, ...]) -> Run:
    key_plan, value_plan = (*children, _any(), _any())[:2]

    def run(value: Any, path: Path, hidden: bool) -> Any:
        made: dict[Any, Any] = {}
        changed = renamed = False
        for key, item in value.items():
            step = (*path, Key(key, key_plan))
            new_key, new_item = key_plan(key, step, hidden), value_plan(item, step, hidden)
            renamed = renamed or new_key is not key
            changed = changed or renamed or new_item is not item
            if renamed and new_key in made:
                hides = hidden or key_plan.hides()
                place, shown = _place(path, hides), "one" if hides else _shown(new_key)
                text = f"{place}: two keys become {shown}"
                raise Refused(text, True, place, None if hides else new_key)
            made[new_key] = new_item
        if not changed:
            return value
        if not isinstance(value, dict) or type(value) is dict:
            return made
        return (
            _filled(value, lambda like: [like.__setitem__(*pair) for pair in made.items()]) or made
        )

    return run


def _union(children: tuple[Plan, ...], text: str) -> Run:
    def run(value: Any, path: Path, hidden: bool) -> Any:
        broken, within = [], []
        for child in children:
            try:
                return child(value, path, hidden)
            except Refused as refused:
                inner = refused.within or refused.depth > len(path)
                broken += [child] if refused.broken else []
                within += [child] if inner and not refused.broken else []
        speakers = broken[:1] or (within if len(within) == 1 else [])
        for child in speakers:
            return child(value, path, hidden or any(one.hides() for one in children))
        raise _wrong(text, value, path, hidden, bool(within))

    return run


def _literal(values: tuple[Any, ...]) -> Plan:
    text = " or ".join(map(_shown, values))

    def run(value: Any, path: Path, hidden: bool) -> Any:
        if any(value is one or (type(value) is type(one) and value == one) for one in values):
            return value
        if any(type(value) is type(one) for one in values):
            raise _broken(f"be {text}", value, path, hidden)
        raise _wrong(text, value, path, hidden)

    return Plan("literal", text, run)


def _type_of(child: Plan) -> Plan:
    def is_one(plan: Plan, cls: type) -> bool:
        return (
            plan.shape == "any"
            or (plan.optional and cls is NoneType)
            or any(is_one(one, cls) for one in plan.children)
            or (isinstance(plan.type, type) and issubclass(cls, plan.type))
        )

    text = f"type[{_text(child)}]"

    def run(value: Any, path: Path, hidden: bool) -> Any:
        if not isinstance(value, type):
            raise _wrong(text, value, path, hidden)
        if not is_one(child, value):
            raise _wrong(text, value, path, hidden, got=f"class {value.__name__}")
        return value

    return Plan("type", text, run, type)


def _text(plan: Plan) -> str:
    return f"{plan.text} | None" if plan.optional else plan.text


def _union_of(args: tuple[Any, ...]) -> Plan:
    children = tuple(map(plan_of, args))
    text = " | ".join(map(_text, children))
    return Plan("union", text, _union(children, text), None, None, children)


def _is_container(cls: Any) -> bool:
    return cls.__module__ in ("builtins", "collections", "collections.abc", "typing")


def _is_unpacked(arg: Any) -> bool:
    unpacked = getattr(arg, "__unpacked__", False) is True
    return unpacked or form_of(typing.get_origin(arg)) == "unpack"


def _subscripted(base: Any, origin: Any, args: tuple[Any, ...]) -> Plan:
    if origin is tuple and not (len(args) == 2 and args[1] is ...):
        if any(map(_is_unpacked, args)):
            return _class(tuple)
        children = tuple(map(plan_of, args))
        return Plan(
            "tuple", "tuple", _instance("tuple", tuple, _tuple(children)), tuple, None, children
        )
    if origin is type:
        return _type_of(plan_of(args[0]))
    name = origin.__name__
    if _is_container(origin) and hasattr(origin, "keys"):
        children = tuple(map(plan_of, args[:2]))
        run = _instance(name, origin, _mapping(children))
        return Plan("mapping", name, run, origin, None, children)
    walks = hasattr(origin, "__iter__") and not hasattr(origin, "__next__")
    if _is_container(origin) and walks and (len(args) == 1 or origin is tuple):
        child = plan_of(args[0])
        return Plan("items", name, _instance(name, origin, _items(child)), origin, None, (child,))
    if origin is collections.abc.Callable:
        return Plan("callable", "callable", _instance("callable", collections.abc.Callable))
    return _class(origin)


def _variable(base: Any) -> Plan:
    if choices := getattr(base, "__constraints__", None):
        return _union_of(choices)
    if getattr(base, "__bound__", None) is not None:
        return _fresh(base.__bound__)
    if hasattr(base, "__typing_subst__") or hasattr(base, "__constraints__"):
        return _any()
    raise TypeError(f"annotation {base!r} is not a type")


def _never(value: Any, path: Path, hidden: bool) -> Any:
    raise _wrong("Never", value, path, hidden)


def _form(base: Any, form: str, args: tuple[Any, ...] | None) -> Plan:
    if form == "never":
        return Plan("never", "Never", _never)
    if form == "text":
        return _class(str)
    if form in ("any", "inner", "class", "unpack"):
        return _any()
    if args is None:
        raise TypeError(f"annotation {base!r} wants parameters")
    if form == "truth":
        return _class(bool)
    return _literal(args) if form == "literal" else _union_of(args)


def _base(base: Any) -> Plan:
    if isinstance(base, type):
        return _class(base)
    if isinstance(base, types.UnionType):
        return _union_of(base.__args__)
    origin = getattr(base, "__origin__", None)
    args = getattr(base, "__args__", None)
    form = form_of(base if origin is None else origin)
    if form is not None:
        return _form(base, form, args)
    if isinstance(origin, type):
        return _class(origin) if args is None else _subscripted(base, origin, args)
    return _variable(base)


def _fresh(tp: Any) -> Plan:
    facts: Facts = facts_of(tp)
    plan = _base(facts.base)
    plan.optional = plan.optional or facts.optional
    plan.sensitive = plan.sensitive or facts.sensitive
    _constrain(plan, facts.found)
    return plan


#: Aliases being compiled lead back to their plan.
_progress: dict[int, Plan] = {}


def plan_of(tp: Any) -> Plan:
    """The plan of an annotation."""
    if not is_alias(tp):
        return _fresh(tp)
    if id(tp) in _progress:
        return _progress[id(tp)]
    plan = Plan("alias", str(tp), lambda value, path, hidden: inner()(value, path, hidden))
    if isinstance(tp, types.GenericAlias):  # may lead to ever new ones: when a value comes

        def later() -> Plan:
            plan.children = plan.children or (plan_of(alias_value(tp)),)
            return plan.children[0]

        inner: Callable[[], Plan] = later
        return plan
    _progress[id(tp)] = plan
    try:
        child = plan_of(alias_value(tp))
    finally:
        del _progress[id(tp)]
    plan.children = (child,)
    inner = lambda: child  # noqa: E731
    return plan


# ---- classes


class Field(NamedTuple):
    """A field of an annotated class."""

    name: str
    annotation: Any
    facts: Facts
    default: Any
    plan: Plan


def _hints(cls: type) -> dict[str, Any]:
    try:
        try:
            return typing.get_type_hints(cls, include_extras=True)
        except NameError:
            own = {**vars(cls), cls.__name__: cls}
            return typing.get_type_hints(cls, localns=own, include_extras=True)
    except (MemoryError, RecursionError):
        raise
    except Exception as error:
        for base in cls.__mro__:
            for name, annotation in getattr(base, "__annotations__", {}).items():
                if (getattr(error, "name", None) or "\0") in repr(annotation):
                    place = f"{cls.__qualname__}.{name}"
                    text = f"{place}: annotation cannot be resolved: {error}"
                    raise TypeError(text) from None
        text = f"{cls.__qualname__}: annotations cannot be resolved: {error}"
        raise TypeError(text) from None


def _counts(annotation: Any) -> bool:
    form = form_of(typing.get_origin(annotation) or annotation)
    return not (
        form == "class"
        or isinstance(annotation, dataclasses.InitVar)
        or annotation is dataclasses.KW_ONLY
    )


def _default(cls: Any, name: str) -> Any:
    if name in (declared := getattr(cls, "__dataclass_fields__", {})):
        given = declared[name].default
        return ... if given is dataclasses.MISSING else given
    if name in (defaults := getattr(cls, "_field_defaults", {})):
        return defaults[name]
    for base in cls.__mro__:
        if name in vars(base):
            value = vars(base)[name]
            bound = hasattr(type(value), "__get__") or hasattr(type(value), "__set__")
            return ... if bound else value
    return ...


def _fields(cls: Any) -> list[Field]:
    """Without a look at the defaults."""
    fields = []
    for name, annotation in _hints(cls).items():
        if _counts(annotation):
            try:
                plan = plan_of(annotation)
            except (TypeError, ValueError, NameError) as error:
                kind = ValueError if isinstance(error, ValueError) else TypeError
                raise kind(f"{cls.__qualname__}.{name}: {error}") from None
            default = _default(cls, name)
            fields.append(Field(name, annotation, facts_of(annotation), default, plan))
    return fields


def fields_of(cls: Any) -> Iterator[Field]:
    """The fields of an annotated class, its bases' first."""
    fields = _fields(cls)
    for one in fields:
        if one.default is not ...:
            try:
                one.plan(one.default, (f"{cls.__qualname__}.{one.name}",), False)
            except Refused as refused:
                if refused.broken:
                    raise ValueError(f"default of {refused}") from None
    return iter(fields)


def told(refused: Refused) -> ConstraintError:
    """The error that the caller gets."""
    error = ConstraintError(str(refused))
    error.name, error.value = refused.place, refused.value
    return error


def validate(value: Any, tp: Any, /) -> Any:
    """The value, if it is what the annotation says."""
    try:
        plan = plan_of(tp)
    except (TypeError, ValueError, NameError) as error:
        kind = ValueError if isinstance(error, ValueError) else TypeError
        raise kind(f"validate(): {error}") from None
    try:
        return plan(value, (), False)
    except Refused as refused:
        if refused.broken:
            raise told(refused) from None
        raise TypeError(f"validate(): {refused}") from None
