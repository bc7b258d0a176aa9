"""Records that lie in a buffer, read and written in place."""

from __future__ import annotations

import inspect
import operator
import types
from collections.abc import Callable
from typing import Any, NoReturn

from ..records import _Checked, _Unboxed
from . import _input
from ._input import contiguous, offset_of
from ._layout import BitField, Found, Measure, PacketLayout, Reader, layout_of
from ._view import View, _exporter, _live

__all__ = ["LayoutView", "view"]

#: What binds itself to instances of one type of C only.
_FOREIGN = (
    types.GetSetDescriptorType,
    types.MemberDescriptorType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
)


class _State:
    """Where a record lies: from byte `at` of the memory of `obj`."""

    def __init__(self, layout: PacketLayout, data: memoryview, at: int, obj: Any) -> None:
        self.layout, self.at, self.obj = layout, at, obj
        self.path: str = layout.cls.__qualname__
        # what has no fixed size now may have another later
        self.memory: memoryview | None = data if layout.size is None else data[: at + layout.size]

    @property
    def data(self) -> memoryview:
        if self.memory is None:
            raise ValueError("LayoutView has been released")
        return self.memory

    def before(self, index: int) -> Found:
        """The fields before one."""
        return Measure(self.data).fields(self.layout, self.at, self.path, index)

    def extent(self) -> memoryview:
        _, end = Measure(self.data).record(self.layout, self.at, self.path)
        return self.data[self.at : end]

    def read(self, name: str) -> Any:
        field, found = self.layout.by_name[name], self.before(self.layout.by_name[name].index)
        where = f"{self.path}.{name}"
        field.read(Measure(self.data), found.end, where, dict(found.numbers))
        return field.read(_Lazy(self.data, self.obj), found.end, where, found.numbers)[0]

    def write(self, name: str, value: Any) -> None:
        field, where = self.layout.by_name[name], f"{self.path}.{name}"
        if self.data.readonly:
            raise TypeError(f"view() over read-only memory: {where} cannot be set")
        check = inspect.getattr_static(self.layout.cls, name)
        if isinstance(check, _Checked) and check.check is not None:
            check.check._ferrule_check(value, field.sensitive)
        found = self.before(field.index)
        numbers = dict(found.numbers)
        _, end = field.read(Measure(self.data), found.end, where, numbers)
        if isinstance(field, BitField):
            end = found.end + field.run_size
            written = field.checked(value, where)
            made = field.merged(bytes(self.data[found.end : end]), written)
        else:
            made = field.write(value, where, found.numbers)
            written = found.numbers.get(name, 0)
        if field.measures and numbers[name] != written:
            wanted, got = ("***", "***") if field.sensitive else (numbers[name], written)
            raise ValueError(f"{where}: measures another field, wanted {wanted}, got {got}")
        if len(made) != end - found.end:
            raise ValueError(f"{where}: wanted {end - found.end} bytes, got {len(made)}")
        self.data[found.end : end] = made

    def record(self) -> Any:
        """A record with the values of now, which are not checked."""
        made = object.__new__(self.layout.cls)
        for name in self.layout.by_name:
            held = inspect.getattr_static(self.layout.cls, name)
            slot = held.slot if isinstance(held, (_Unboxed, _Checked)) else name
            object.__setattr__(made, slot, self.read(name))
        return made

    def find(self, name: str) -> Any:
        """What the record class has under a name that is no field."""
        for cls in self.layout.cls.__mro__:
            attr = vars(cls).get(name, ...)
            foreign = isinstance(attr, _FOREIGN) and not issubclass(LayoutView, attr.__objclass__)
            if attr is not ... and not foreign:
                return attr
        raise AttributeError(f"{self.path!r} object has no attribute {name!r}")


class _Lazy(Reader):
    """Reads records as views of them."""

    def __init__(self, data: memoryview, obj: Any) -> None:
        super().__init__(data)
        self.obj = obj

    def record(self, layout: PacketLayout, at: int, path: str) -> tuple[Any, int]:
        _, end = Measure(self.data).record(layout, at, path)
        return _make(_State(layout, self.data, at, self.obj)), end


def _compare(compare: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def method(self: Any, other: Any) -> Any:
        if other.__class__ is not self.__class__:
            return NotImplemented
        other = _state(other).record() if type(other) is LayoutView else other
        return compare(_state(self).record(), other)

    return method


class LayoutView:
    """A record that lies in a buffer; `view` makes them.

    Fields come first, then what is defined here, then what the record class has.
    """

    __slots__ = ("__weakref__", "_ferrule_state")

    def __init__(self, *args: Any, **keywords: Any) -> None:
        raise TypeError("cannot create 'ferrule.wire.LayoutView' instances")

    def __getattribute__(self, name: str) -> Any:
        state = _state(self)
        if name in state.layout.by_name:
            return state.read(name)
        if hasattr(vars(LayoutView).get(name), "__get__"):
            return object.__getattribute__(self, name)
        attr = state.find(name)
        get = getattr(type(attr), "__get__", None)
        return get(attr, self, state.layout.cls) if get else attr

    def __setattr__(self, name: str, value: Any) -> None:
        state = _state(self)
        if name in state.layout.by_name:
            state.write(name, value)
        else:
            self._property(name, "__set__")(self, value)

    def __delattr__(self, name: str) -> None:
        state = _state(self)
        if name in state.layout.by_name:
            raise AttributeError(f"cannot delete field {name!r} of a view of {state.path}")
        self._property(name, "__delete__")(self)

    def _property(self, name: str, method: str) -> Callable[..., None]:
        attr = _state(self).find(name)
        if not hasattr(type(attr), method):
            raise AttributeError(f"{_state(self).path!r} object has no attribute {name!r}")
        return getattr(attr, method)  # type: ignore[no-any-return]

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return _state(self).layout.cls

    __eq__ = _compare(operator.eq)
    __ne__ = _compare(operator.ne)
    __lt__ = _compare(operator.lt)
    __le__ = _compare(operator.le)
    __gt__ = _compare(operator.gt)
    __ge__ = _compare(operator.ge)

    def __hash__(self) -> int:
        return hash(_state(self).record())

    def __repr__(self) -> str:
        return repr(_state(self).record())

    def __bytes__(self) -> bytes:
        return bytes(_state(self).extent())

    def __buffer__(self, flags: int) -> memoryview:  # from Python 3.12 on
        return _state(self).extent()

    def release(self) -> None:
        state = _state(self)
        state.memory = state.obj = None
        _live.pop(id(self), None)

    def __enter__(self) -> LayoutView:
        assert _state(self).data is not None
        return self

    def __exit__(self, *exc_info: object) -> None:
        LayoutView.release(self)

    # what `holders` and `release_all` ask of whoever holds memory

    @property
    def _obj(self) -> Any:
        return _state(self).obj

    def _busy(self) -> bool:
        return False

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        name = _state(self).path
        raise TypeError(
            f"cannot pickle or copy a LayoutView of {name}: unpack({name}, view) makes a record"
        )


_slot: Any = vars(LayoutView)["_ferrule_state"]


def _state(view: LayoutView) -> _State:
    return _slot.__get__(view)  # type: ignore[no-any-return]


def _make(state: _State) -> LayoutView:
    made = object.__new__(LayoutView)
    _slot.__set__(made, state)
    _live[id(made)] = made
    return made


def _buffer_of(obj: Any) -> Any:
    """Python 3.11 lets no class of Python's own export a buffer."""
    if type(obj) is LayoutView:
        return _state(obj).extent()
    return obj._whole() if type(obj) is View else obj


_input.exporters.append(_buffer_of)


def view(cls: Any, buffer: Any, offset: int = 0) -> LayoutView:
    """A record of the class that lies in the buffer, every field read when it is asked for."""
    layout = layout_of("view()", cls)
    at = offset_of("view()", offset)
    data = contiguous("view()", buffer)
    sizes = [field.size for field in layout.fields]
    fixed = sizes.index(None) if None in sizes else len(sizes)
    Measure(data).fields(layout, at, cls.__qualname__, fixed)
    return _make(_State(layout, data, at, _exporter(buffer)))
