"""Checked functions, plans and classes come and go; the types keep the references they had."""

import typing
from typing import Annotated

from _come_and_go import come_and_go

from ferrule import validation
from ferrule.validation import (
    Bounded,
    ConstraintError,
    Email,
    Ge,
    Length,
    MinLength,
    MultipleOf,
    Predicate,
    Regex,
    Sensitive,
    Strip,
    Validated,
    ValidatedMeta,
    checked,
    constraints,
    mask,
    sql_schema,
    validate,
)


def refused(call: typing.Callable[[], object]) -> None:
    try:
        call()
    except ConstraintError as error:
        assert str(error)
    else:
        raise AssertionError("not refused")


def make() -> None:
    class Config:
        port = Bounded(1, 65535)
        ratio = Validated(min_val=0, max_val=1)

    class Handler(metaclass=ValidatedMeta):
        def get(self) -> None:
            """Get."""

    class User:
        name: Annotated[str, Strip, MinLength(3), Sensitive]
        age: Annotated[int, Ge(0), MultipleOf(1)]

        def __init__(self, name: str, age: int) -> None:
            self.name, self.age = name, age

        @checked
        def same(self, other: "User") -> "User":
            return other

    Name = Annotated[str, Length(1, 5), Regex("^[a-z]+$"), Predicate(str.isascii)]

    @checked
    async def greet(name: Name, *others: Name) -> Name:
        return name

    config, user = Config(), User("alice", 5)
    config.port, config.ratio = 80, 0.5
    refused(lambda: setattr(config, "port", 99999))
    Handler().get()
    assert user.same(user) is user
    assert validate("ann", Name) == "ann" and len(constraints(Name)) == 4
    refused(lambda: validate("", Name))
    refused(lambda: greet("ann", "BOB"))
    coroutine = greet("ann", "bob")
    try:
        coroutine.send(None)
    except StopIteration as stop:
        assert stop.value == "ann"
    assert mask(user)["name"] == "***"
    assert "name" in sql_schema(User)
    assert validate("a@example.org", Annotated[str, Email]) == "a@example.org"
    for clear in vars(typing)["_cleanups"]:  # its caches keep classes alive
        clear()


watched = [value for value in vars(validation).values() if isinstance(value, type)]
assert ConstraintError in watched and Bounded in watched
come_and_go(make, watched)
