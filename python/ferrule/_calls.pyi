"""Contract of the native calls room; ferrule.calls is its public face."""

from collections.abc import Callable, Iterable
from os import PathLike
from types import GenericAlias, MappingProxyType
from typing import (
    Any,
    Concatenate,
    Final,
    Generic,
    Literal,
    ParamSpec,
    Protocol,
    Self,
    SupportsFloat,
    TypeAlias,
    TypeVar,
    final,
    overload,
    type_check_only,
)

from _typeshed import structseq
from typing_extensions import disjoint_base

from ferrule.calls._cache_info import CacheInfo

_P = ParamSpec("_P")
_Q = ParamSpec("_Q")
_R = TypeVar("_R")
_R_co = TypeVar("_R_co", covariant=True)
_S = TypeVar("_S")
_T = TypeVar("_T")
_W = TypeVar("_W")
_C = TypeVar("_C", bound=type[Any])

# ---- wrapper

class _Logger(Protocol):
    def isEnabledFor(self, level: int, /) -> bool: ...
    def log(self, level: int, msg: str, /, *args: Any) -> object: ...

@disjoint_base
class Wrapper(Generic[_P, _R]):
    # attributes it has not got are the function's
    __name__: str
    __qualname__: str
    __wrapped__: Callable[_P, _R]
    def __new__(cls, func: Callable[_P, _R], /, *args: Any, **kwargs: Any) -> Self: ...
    def __call__(self, /, *args: _P.args, **kwargs: _P.kwargs) -> _R: ...
    @overload
    def __get__(self, instance: None, owner: type | None = None, /) -> Self: ...
    @overload
    def __get__(
        self: Wrapper[Concatenate[_T, _Q], _R], instance: _T, owner: type | None = None, /
    ) -> Callable[_Q, _R]: ...
    def __set_name__(self, owner: type, name: str, /) -> None: ...
    def __copy__(self) -> Self: ...
    def __deepcopy__(self, memo: Any, /) -> Self: ...
    def __reduce__(self) -> str: ...
    def __class_getitem__(cls, item: Any, /) -> GenericAlias: ...

def update_wrapper(
    wrapper: _W,
    wrapped: Callable[..., Any],
    assigned: Iterable[str] = ...,
    updated: Iterable[str] = ...,
) -> _W: ...
def wraps(
    wrapped: Callable[_P, _R], assigned: Iterable[str] = ..., updated: Iterable[str] = ...
) -> Callable[[_W], _W]: ...

# ---- rate_limit

class RateLimited(Exception):
    retry_after: float
    key: object

class _Limiter(Protocol):
    """What a store of Python's has the limit in: see ext/calls/rate_limit_limiter.c."""

    def take(self, key: Any, wait: bool, /) -> float: ...
    def give_back(self, key: Any, at: float, /) -> object: ...
    def peek(self, key: Any, /) -> float: ...
    def reset(self) -> object: ...

class _Store(Protocol):
    def limiter(
        self, name: str, calls_per_sec: float, burst: int, max_keys: int, asynchronous: bool, /
    ) -> _Limiter: ...

@final
class SharedStore:
    def __new__(
        cls,
        path: str | bytes | PathLike[str] | PathLike[bytes] | None = None,
        *,
        slots: int | None = None,
    ) -> Self: ...
    @property
    def path(self) -> str | bytes | None: ...
    @property
    def slots(self) -> int: ...
    @property
    def used(self) -> int: ...

# in the module under no name: what rate_limit makes
@type_check_only
class _RateLimit(Wrapper[_P, _R]):
    @property
    def calls_per_sec(self) -> float: ...
    @property
    def burst(self) -> int: ...
    @property
    def mode(self) -> Literal["wait", "raise"]: ...
    @property
    def allowed(self) -> int: ...
    @property
    def waited(self) -> int: ...
    @property
    def rejected(self) -> int: ...
    @property
    def cancelled(self) -> int: ...
    def retry_after(self, *args: _P.args, **kwargs: _P.kwargs) -> float: ...
    def try_acquire(self, *args: _P.args, **kwargs: _P.kwargs) -> bool: ...
    def reset(self) -> None: ...

@type_check_only
class _RateLimitDecorator(Protocol):
    def __call__(self, func: Callable[_P, _R], /) -> _RateLimit[_P, _R]: ...

def rate_limit(
    calls_per_sec: SupportsFloat,
    *,
    burst: int = 1,
    key: Callable[..., Any] | None = None,
    mode: Literal["wait", "raise"] = "wait",
    store: SharedStore | _Store | None = None,
    name: str | None = None,
    max_keys: int = 65536,
    clock: Callable[[], float] | None = None,
) -> _RateLimitDecorator: ...

# ---- retry

@final
class Attempt(
    structseq[Any],
    tuple[int, float, type[BaseException] | None, str, BaseException | None, Any],
):
    __match_args__: Final = ("number", "wait", "kind", "text", "error", "result")
    @property
    def number(self) -> int: ...
    @property
    def wait(self) -> float: ...
    @property
    def kind(self) -> type[BaseException] | None: ...
    @property
    def text(self) -> str: ...
    @property
    def error(self) -> BaseException | None: ...
    @property
    def result(self) -> Any: ...

class RetryError(Exception):
    result: Any
    retry_history: tuple[Attempt, ...]

# in the module under no name: what retry makes
@type_check_only
class _Retry(Wrapper[_P, _R]):
    @property
    def calls(self) -> int: ...
    @property
    def attempts(self) -> int: ...
    @property
    def retries(self) -> int: ...
    @property
    def failures(self) -> int: ...
    @property
    def max_attempts(self) -> int: ...
    @property
    def delay(self) -> float: ...
    @property
    def backoff(self) -> float: ...
    @property
    def max_delay(self) -> float | None: ...
    @property
    def deadline(self) -> float | None: ...
    @property
    def jitter(self) -> bool: ...
    @property
    def on(self) -> _On: ...
    @property
    def retry_if_result(self) -> Callable[[Any], object] | None: ...
    @property
    def before_sleep(self) -> Callable[[Attempt], object] | None: ...

_On: TypeAlias = (
    type[BaseException] | tuple[type[BaseException], ...] | Callable[[Exception], object]
)

@type_check_only
class _RetryDecorator(Protocol):
    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, func: staticmethod[_P, _R], /
    ) -> staticmethod[_P, _R]: ...
    @overload
    def __call__(self, func: classmethod[_S, _P, _R], /) -> classmethod[_S, _P, _R]: ...
    @overload
    def __call__(self, func: Callable[_P, _R], /) -> _Retry[_P, _R]: ...

@overload
def retry(max_attempts: staticmethod[_P, _R], /) -> staticmethod[_P, _R]: ...  # type: ignore[overload-overlap]
@overload
def retry(max_attempts: classmethod[_S, _P, _R], /) -> classmethod[_S, _P, _R]: ...
@overload
def retry(max_attempts: Callable[_P, _R], /) -> _Retry[_P, _R]: ...
@overload
def retry(
    max_attempts: int = 3,
    delay: float = 1.0,
    *,
    on: _On = ...,
    backoff: float = 2.0,
    max_delay: float | None = None,
    jitter: bool = False,
    deadline: float | None = None,
    retry_if_result: Callable[[Any], object] | None = None,
    before_sleep: Callable[[Attempt], object] | None = None,
    printer: Callable[[str], object] | None = None,
    random: Callable[[], float] | None = None,
    clock: Callable[[], float] | None = None,
) -> _RetryDecorator: ...

# ---- cache

class _BoundCache(Protocol[_P, _R_co]):
    """A method of an instance."""

    @property
    def __wrapped__(self) -> Callable[..., _R_co]: ...
    def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> _R_co: ...
    def cache_info(self) -> CacheInfo: ...
    def cache_clear(self) -> None: ...
    def cache_parameters(self) -> dict[str, Any]: ...

class _Cache(Protocol[_P, _R_co]):
    """What cache makes of a function."""

    __name__: str
    __qualname__: str
    @property
    def __wrapped__(self) -> Callable[_P, _R_co]: ...
    def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> _R_co: ...
    @overload
    def __get__(self, obj: None, owner: type | None = None, /) -> _Cache[_P, _R_co]: ...
    @overload
    def __get__(
        self: _Cache[Concatenate[_S, _Q], _R_co], obj: _S, owner: type | None = None, /
    ) -> _BoundCache[_Q, _R_co]: ...
    def cache_info(self) -> CacheInfo: ...
    def cache_clear(self) -> None: ...
    def cache_parameters(self) -> dict[str, Any]: ...

class _CacheDecorator(Protocol):
    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, func: staticmethod[_P, _R], /
    ) -> staticmethod[_P, _R]: ...
    @overload
    def __call__(self, func: classmethod[_S, _P, _R], /) -> classmethod[_S, _P, _R]: ...
    @overload
    def __call__(self, func: Callable[_P, _R], /) -> _Cache[_P, _R]: ...

@overload
def cache(  # type: ignore[overload-overlap]
    maxsize: staticmethod[_P, _R],
    typed: bool = False,
    *,
    ttl: float | None = None,
    per_instance: bool = True,
    single_flight: bool = True,
    clock: Callable[[], float] | None = None,
) -> staticmethod[_P, _R]: ...
@overload
def cache(
    maxsize: classmethod[_S, _P, _R],
    typed: bool = False,
    *,
    ttl: float | None = None,
    per_instance: bool = True,
    single_flight: bool = True,
    clock: Callable[[], float] | None = None,
) -> classmethod[_S, _P, _R]: ...
@overload
def cache(
    maxsize: Callable[_P, _R],
    typed: bool = False,
    *,
    ttl: float | None = None,
    per_instance: bool = True,
    single_flight: bool = True,
    clock: Callable[[], float] | None = None,
) -> _Cache[_P, _R]: ...
@overload
def cache(
    maxsize: int | None = 128,
    typed: bool = False,
    *,
    ttl: float | None = None,
    per_instance: bool = True,
    single_flight: bool = True,
    clock: Callable[[], float] | None = None,
) -> _CacheDecorator: ...

# ---- timer

@final
class Timer(Wrapper[_P, _R]):
    @property
    def last(self) -> float | None: ...
    @property
    def min(self) -> float | None: ...
    @property
    def max(self) -> float | None: ...
    @property
    def mean(self) -> float | None: ...
    @property
    def total(self) -> float: ...
    @property
    def count(self) -> int: ...
    @property
    def errors(self) -> int: ...
    def percentile(self, q: float, /) -> float | None: ...
    def reset(self) -> None: ...

class _TimerDecorator(Protocol):
    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, func: staticmethod[_P, _R], /
    ) -> staticmethod[_P, _R]: ...
    @overload
    def __call__(self, func: classmethod[_T, _P, _R], /) -> classmethod[_T, _P, _R]: ...
    @overload
    def __call__(self, func: Callable[_P, _R], /) -> Timer[_P, _R]: ...

@overload
def timer(
    *,
    printer: Callable[[str], object] | None = None,
    logger: _Logger | str | None = None,
    level: int | str | None = None,
    clock: Callable[[], float] | None = None,
) -> _TimerDecorator: ...
@overload
def timer(  # type: ignore[overload-overlap]
    func: staticmethod[_P, _R],
    /,
    *,
    printer: Callable[[str], object] | None = None,
    logger: _Logger | str | None = None,
    level: int | str | None = None,
    clock: Callable[[], float] | None = None,
) -> staticmethod[_P, _R]: ...
@overload
def timer(
    func: classmethod[_T, _P, _R],
    /,
    *,
    printer: Callable[[str], object] | None = None,
    logger: _Logger | str | None = None,
    level: int | str | None = None,
    clock: Callable[[], float] | None = None,
) -> classmethod[_T, _P, _R]: ...
@overload
def timer(
    func: Callable[_P, _R],
    /,
    *,
    printer: Callable[[str], object] | None = None,
    logger: _Logger | str | None = None,
    level: int | str | None = None,
    clock: Callable[[], float] | None = None,
) -> Timer[_P, _R]: ...

# ---- logged

@final
class Logged(Wrapper[_P, _R]): ...

class _LoggedDecorator(Protocol):
    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, func: staticmethod[_P, _R], /
    ) -> staticmethod[_P, _R]: ...
    @overload
    def __call__(self, func: classmethod[_T, _P, _R], /) -> classmethod[_T, _P, _R]: ...
    @overload
    def __call__(self, func: Callable[_P, _R], /) -> Logged[_P, _R]: ...

@overload
def logged(
    *,
    printer: Callable[[str], object] | None = None,
    logger: _Logger | str | None = None,
    level: int | str | None = None,
    arguments: bool = False,
    result: bool = False,
    errors: bool = False,
) -> _LoggedDecorator: ...
@overload
def logged(  # type: ignore[overload-overlap]
    func: staticmethod[_P, _R],
    /,
    *,
    printer: Callable[[str], object] | None = None,
    logger: _Logger | str | None = None,
    level: int | str | None = None,
    arguments: bool = False,
    result: bool = False,
    errors: bool = False,
) -> staticmethod[_P, _R]: ...
@overload
def logged(
    func: classmethod[_T, _P, _R],
    /,
    *,
    printer: Callable[[str], object] | None = None,
    logger: _Logger | str | None = None,
    level: int | str | None = None,
    arguments: bool = False,
    result: bool = False,
    errors: bool = False,
) -> classmethod[_T, _P, _R]: ...
@overload
def logged(
    func: Callable[_P, _R],
    /,
    *,
    printer: Callable[[str], object] | None = None,
    logger: _Logger | str | None = None,
    level: int | str | None = None,
    arguments: bool = False,
    result: bool = False,
    errors: bool = False,
) -> Logged[_P, _R]: ...

# ---- counted

@final
class Counted(Wrapper[_P, _R]):
    @property
    def count(self) -> int: ...
    @property
    def errors(self) -> int: ...
    @property
    def active(self) -> int: ...
    def reset(self) -> None: ...

@overload
def counted(  # type: ignore[overload-overlap]
    func: staticmethod[_P, _R], /
) -> staticmethod[_P, _R]: ...
@overload
def counted(func: classmethod[_T, _P, _R], /) -> classmethod[_T, _P, _R]: ...
@overload
def counted(func: Callable[_P, _R], /) -> Counted[_P, _R]: ...

# ---- singleton

def singleton(cls: _C, /) -> _C: ...

# ---- register

@final
class Registry:
    def __new__(cls) -> Self: ...
    @overload
    def __call__(self, cls: _C, /, *, name: str = ...) -> _C: ...
    @overload
    def __call__(self, /, *, name: str) -> Callable[[_C], _C]: ...
    @property
    def registry(self) -> MappingProxyType[str, type[Any]]: ...
    def unregister(self, name: str, /) -> type[Any]: ...
    def clear(self) -> None: ...

register: Registry

# ---- model_inference

@disjoint_base
class ModelInference:
    model: Any
    threshold: Any
    inference_count: int
    def __init__(self, model_path: Any, threshold: Any = 0.5) -> None: ...
    def __call__(self, data: Iterable[_T]) -> list[_T]: ...
    def _load_model(self, path: Any, /) -> Any: ...
    def __getstate__(self) -> Any: ...
    def __setstate__(self, state: Any, /) -> None: ...
