"""Twin of `ConstraintError`: its text is made at once."""

from __future__ import annotations

from typing import Any


class ConstraintError(ValueError):
    """A value breaks a constraint; `name` is what was given it, `value` the value, or None."""

    name: Any = None
    value: Any = None

    def __reduce__(self) -> tuple[Any, ...]:
        others = {key: vars(self)[key] for key in vars(self).keys() - {"name", "value"}}
        return (type(self), self.args, others) if others else (type(self), self.args)


def broken(text: str, name: Any, value: Any = None) -> ConstraintError:
    """The error to raise; `value` stays out where it is sensitive."""
    error = ConstraintError(text)
    error.name, error.value = name, value
    return error
