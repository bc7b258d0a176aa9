"""`checked` against its twin: signatures and calls as they come."""

import importlib
import types
from typing import Annotated, Any, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

#: What a parameter may say, as text: constraints are looked up in the implementation.
ANNOTATIONS = (
    *("", "", "int", "str", "float", "list[int]", "Optional[str]", "int | None", "Any"),
    *("Annotated[int, Ge(0), Lt(10)]", "Annotated[str, Strip, MinLength(2)]"),
    *("list[Annotated[str, Strip]]", "Annotated[str, MaxLength(1), Sensitive]"),
    *("'Later'", "'int'", "Annotated[list[int], MinLength(1)]", "dict[str, 'Later']"),
)
VALUES = (
    1,
    -1,
    10,
    True,
    1.5,
    "",
    "a",
    " ab ",
    None,
    (),
    [],
    [1],
    ["a", " b "],
    {},
    {"a": 1},
    b"a",
)
NAMES = ("a", "b", "c", "d", "e")
KINDS = ("only", "either", "rest", "keyword", "others")

values = st.sampled_from(VALUES)
parameters = st.lists(
    st.tuples(st.sampled_from(KINDS), st.sampled_from(ANNOTATIONS), st.none() | values),
    max_size=5,
)
calls = st.lists(
    st.tuples(
        st.lists(values, max_size=5),
        st.dictionaries(st.sampled_from((*NAMES, "f", "g")), values, max_size=3),
    ),
    min_size=1,
    max_size=4,
)


def source(drawn: list[tuple[str, str, Any]], result: str) -> str:
    """A function of these parameters, that gives them all; its result in a list."""
    parts: dict[str, list[str]] = {kind: [] for kind in KINDS}
    defaults = False
    for (kind, annotation, default), name in sorted(
        zip(drawn, NAMES, strict=False), key=lambda pair: KINDS.index(pair[0][0])
    ):
        if kind in ("rest", "others") and parts[kind]:
            continue
        text = f"{name}: {annotation}" if annotation else name
        positional = kind in ("only", "either")
        defaults = defaults or (positional and default is not None)
        if kind not in ("rest", "others") and (default is not None or (positional and defaults)):
            text += f" = {default!r}"
        parts[kind].append(text)
    only = [*parts["only"], "/"] if parts["only"] else []
    rest = [f"*{parts['rest'][0]}"] if parts["rest"] else ["*"] if parts["keyword"] else []
    others = [f"**{parts['others'][0]}"] if parts["others"] else []
    listed = ", ".join((*only, *parts["either"], *rest, *parts["keyword"], *others))
    arrow = f" -> {result}" if result else ""
    return f"def func({listed}){arrow}:\n    return given(locals())\n"


def outcome(what: Any, *args: Any, **kwargs: Any) -> tuple[str, str]:
    try:
        return "value", repr(what(*args, **kwargs))
    except (TypeError, ValueError) as error:
        return type(error).__name__, str(error)


def answers(impl: types.ModuleType, text: str, first: bool, drawn: Any) -> list[tuple[str, str]]:
    """What the decoration and the calls give, with the implementation's names."""
    last: dict[str, Any] = {}

    def given_back(found: dict[str, Any]) -> Any:
        last["found"] = dict(found)
        return next(iter(found.values()), None) if first else found

    space: dict[str, Any] = {
        "Annotated": Annotated,
        "Any": Any,
        "Optional": Optional,
        "given": given_back,
        **vars(impl),
    }
    exec(text, space)
    made: list[Any] = []
    told = [outcome(lambda: made.append(impl.checked(space["func"])))]
    if not made:
        return told
    space["Later"] = int
    for args, kwargs in drawn:
        last.clear()
        told.append(outcome(made[0], *args, **kwargs))
        told.append(("received", repr(last)))
    return told


@given(parameters, st.sampled_from(ANNOTATIONS), st.booleans(), calls)
def test_as_the_twin(drawn, result, first, called):
    text = source(drawn, result)
    native, pure = (
        importlib.import_module(f"{package}.validation") for package in ("ferrule", "ferrule.pure")
    )
    assert answers(native, text, first, called) == answers(pure, text, first, called), text


@pytest.mark.parametrize("text", ["def func(a: int = 5, *b: str, **c: float) -> int: return a"])
def test_the_source_runs(text):
    for package in ("ferrule", "ferrule.pure"):
        impl = importlib.import_module(f"{package}.validation")
        called = [((1, "a"), {"x": 2.0}), ((), {"a": "b"})]
        kinds = [kind for kind, _ in answers(impl, text, False, called)]
        assert kinds == ["value", "value", "received", "TypeError", "received"]
