"""What a type checker should understand of rules for values. Never run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Iterator
from typing import Annotated, Any, assert_type

from ferrule.records import Record
from ferrule.validation import (
    Bounded,
    Constraint,
    ConstraintError,
    Email,
    Ge,
    Interval,
    Length,
    MaskingFilter,
    MinLength,
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

Username = Annotated[str, MinLength(3), Sensitive]


@checked
def create_user(name: Username, *, age: Annotated[int, Ge(0)] = 0) -> str:
    return name * age


@checked(result=False)
def loose(x: int) -> list[int]:
    return [x]


@checked()
def strict(x: int, /) -> int:
    return x


@checked
async def fetch(url: str) -> bytes:
    return url.encode()


@checked
def count(n: int) -> Iterator[int]:
    yield n


@checked
async def acount(n: int) -> AsyncIterator[int]:
    yield n


class Account:
    @checked
    def pay(self, amount: int) -> float:
        return amount / 2

    @checked
    @staticmethod
    def parse(text: str) -> int:
        return int(text)

    @classmethod
    @checked
    def make(cls, name: str) -> Account:
        return cls()


assert_type(create_user("ann", age=5), str)
assert_type(loose(1), list[int])
assert_type(strict(1), int)
waiting: Awaitable[bytes] = fetch("a")
assert_type(list(count(1)), list[int])
found: AsyncIterator[int] = acount(1)
assert_type(Account().pay(5), float)
assert_type(Account.pay(Account(), 5), float)
assert_type(Account.parse("5"), int)
assert_type(create_user.__name__, str)
create_user(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
strict(x=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


class NetworkConfig:
    port = Bounded(min_val=1, max_val=65535)
    ratio = Validated(min_val=0.0, max_val=1.0)


class Handler(metaclass=ValidatedMeta):
    def get(self) -> int:
        """Get."""
        return 1


class User(Record):
    name: Annotated[str, Strip, Length(3, 32), Email]
    age: Annotated[int, Interval(ge=0, lt=200)] = 0


config = NetworkConfig()
config.port = 80
try:
    config.port = 0
except ConstraintError as error:
    where: Any = error.name
assert_type(Handler().get(), int)
assert_type(validate("ann", str), str)
assert_type(validate(User("ann"), User), User)
assert_type(constraints(Username), tuple[Constraint, ...])
assert_type(Ge(5).ge, Any)
assert_type([part for part in Length(1, 2)][0].__hash__(), int)
assert_type(Regex("^a").search("a"), bool)
assert_type(Regex("^a", linear=True).linear, bool)
assert_type(mask(User("ann")), dict[str, Any])
assert_type(sql_schema(User, dialect="postgresql"), str)
hiding = MaskingFilter(names=("password",))
MinLength("3")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
sql_schema(User, dialect="oracle")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
