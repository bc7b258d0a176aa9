"""`MaskingFilter` with real logging: no sensitive value is written."""

import collections
import copy
import dataclasses
import enum
import functools
import io
import logging
import logging.config
import logging.handlers
import pickle
import queue
import types
from typing import Annotated

import pytest

SECRET = "hunter2"
Hidden = Annotated[str, "sensitive_data"]


@dataclasses.dataclass
class User:
    name: str
    password: Hidden


@dataclasses.dataclass
class Order:
    user: User
    number: int = 1


class Shouts:
    """Its own text shows everything."""

    password: Hidden = SECRET

    def __str__(self):
        return f"shouting {self.password}"

    def __repr__(self):
        raise ZeroDivisionError


class LoginError(Exception):
    password: Hidden

    def __init__(self, user, password):
        super().__init__(user, password)
        self.password = password


class Log:
    """A logger with a filter, and what it wrote."""

    def __init__(self, masking, fmt="%(message)s"):
        self.stream = io.StringIO()
        handler = logging.StreamHandler(self.stream)
        handler.setFormatter(logging.Formatter(fmt))
        handler.addFilter(masking)
        self.logger = logging.Logger("test")
        self.logger.addHandler(handler)

    @property
    def text(self):
        return self.stream.getvalue().rstrip("\n")


@pytest.fixture
def log(native):
    return Log(native.MaskingFilter())


USER = User("ann", SECRET)
SHOWN = "User(name='ann', password=***)"


@pytest.mark.parametrize(
    ("message", "args", "text"),
    [
        ("%s", (USER,), SHOWN),
        ("%r and %s", (USER, 5), f"{SHOWN} and 5"),
        ("%s", ([USER, (USER,)],), f"[{SHOWN}, ({SHOWN},)]"),
        ("%s", (Order(USER),), f"Order(user={SHOWN}, number=1)"),
        ("%(user)s %(n)d", ({"user": USER, "n": 5},), f"{SHOWN} 5"),
        ("%(user)s", ({"user": {"in": USER}},), f"{{'in': {SHOWN}}}"),
        ("%s", ({"user": USER},), f"{{'user': {SHOWN}}}"),
        (USER, (), SHOWN),
        ([USER], (), f"[{SHOWN}]"),
        ("%s", (Shouts(),), "Shouts(password=***)"),
        (Shouts(), (), "Shouts(password=***)"),
        ("%s", (ValueError(USER),), SHOWN),
        ("%r", (ValueError(USER, 5),), f"ValueError({SHOWN}, 5)"),
        ("%s", (LoginError("ann", SECRET),), "('ann', ***)"),
        ("%5.1f|%-4s|%d", (1.25, "a", 7), "  1.2|a   |7"),
        ("100 %", (), "100 %"),
    ],
    ids=lambda value: repr(value) if isinstance(value, str) else None,
)
def test_messages(log, message, args, text):
    before = copy.deepcopy(USER)
    log.logger.info(message, *args)
    assert log.text == text
    assert before == USER


def test_records(native):
    from ferrule import records  # noqa: PLC0415

    @records.record
    class Account:
        pin: Annotated[records.i64, "sensitive_data"]

    log = Log(native.MaskingFilter())
    log.logger.info("%s %s", Account(777), [Account(777)])
    assert log.text == "Account(pin=***) [Account(pin=***)]".replace(
        "Account", Account.__qualname__
    )


def test_what_hides_nothing_is_left_alone(native):
    masking, value = native.MaskingFilter(), [1, {"a": 2}]
    error = ValueError(value)
    record = logging.LogRecord("a", 20, "", 1, "%s", (value, error), (ValueError, error, None))
    record.extra = value
    assert masking.filter(record) is True
    assert record.args[0] is value and record.args[1] is error and record.extra is value
    assert record.exc_info == (ValueError, error, None)


def test_extra(native):
    log = Log(native.MaskingFilter(names=("Token",)), "%(message)s %(user)s %(token)s %(n)s")
    log.logger.info("m", extra={"user": USER, "token": SECRET, "n": 5})
    assert log.text == f"m {SHOWN} *** 5"


def test_names(native):
    log = Log(native.MaskingFilter(names=("PASSWORD", "token")))
    log.logger.info("%s", {"password": SECRET, "in": [{"Token": SECRET, 5: 6}]})
    log.logger.info("%(password)s %(other)s", {"password": SECRET, "other": "seen"})
    log.logger.info("%s", Order(User("ann", "x"), 2))

    @dataclasses.dataclass
    class Open:
        token: str

    log.logger.info("%s", Open(SECRET))
    assert log.text.split("\n") == [
        "{'password': ***, 'in': [{'Token': ***, 5: 6}]}",
        "*** seen",
        "Order(user=User(name='ann', password=***), number=2)",
        "test_names.<locals>.Open(token=***)",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (collections.namedtuple("Two", "token n")(SECRET, 5), "Two(token=***, n=5)"),
        (types.SimpleNamespace(token=SECRET, n=5), "SimpleNamespace(token=***, n=5)"),
        (functools.partial(int, token=SECRET), "partial(***)"),
        ({"token": SECRET, "n": 5}.items(), "[('token', ***), ('n', 5)]"),
        ([("Token", SECRET)], "[('Token', ***)]"),
        ({b"token": SECRET}, "{b'token': ***}"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_names_in_other_carriers(native, value, text):
    log = Log(native.MaskingFilter(names=["token"]))
    log.logger.info("%s", [value])
    assert log.text == f"[{text}]"


@pytest.mark.parametrize("names", [(1,), None, 5, ["a", b"b"]])
def test_names_must_be_str(native, names):
    with pytest.raises(TypeError, match=r"^MaskingFilter\(\) names must be several str, got "):
        native.MaskingFilter(names=names)


class Held(enum.Enum):
    SECRETS = USER


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: [ValueError(USER)], f"[ValueError({SHOWN})]"),
        (lambda: {"e": ValueError([USER])}, f"{{'e': ValueError([{SHOWN}])}}"),
        (lambda: ValueError([KeyError(USER)]), f"[KeyError({SHOWN})]"),
        (lambda: Order(ValueError(USER)), f"Order(user=ValueError({SHOWN}), number=1)"),
        (lambda: [LoginError("ann", SECRET)], "[LoginError('ann', ***)]"),
        (lambda: USER.__init__, "method(***)"),
        (lambda: [functools.partial(print, USER)], "[partial(***)]"),
        (lambda: Held.SECRETS, "Held(***)"),
        (lambda: types.SimpleNamespace(a=USER), f"SimpleNamespace(a={SHOWN})"),
        (lambda: OSError(2, "x", USER), f"[Errno 2] x: {SHOWN}"),
        (lambda: OSError(2, "x", "y", None, USER), f"[Errno 2] x: 'y' -> {SHOWN}"),
        (lambda: StopIteration(USER), SHOWN),
        (lambda: SyntaxError(USER), SHOWN),
    ],
    ids=str,
)
def test_carriers(log, make, text):
    log.logger.info("%s", make())
    assert log.text == text


def test_state_of_exceptions_outside_their_dict(native):
    class Slotted(Exception):
        __slots__ = ("secret", "user")
        secret: Hidden

    masking = native.MaskingFilter(names=["token"])

    def masked(error):
        record = logging.LogRecord("a", 40, "", 1, "m", (), (type(error), error, None))
        assert masking.filter(record)
        seen = record.exc_info[1]
        assert seen is not error and type(seen) is type(error)
        return seen

    error = Slotted()
    error.user, error.secret = USER, SECRET
    seen = masked(error)
    assert repr(seen.user) == SHOWN and repr(seen.secret) == "***" and error.user is USER
    assert repr(masked(OSError(2, "x", {"token": SECRET})).filename) == "{'token': ***}"
    assert repr(masked(SystemExit(USER)).code) == SHOWN
    assert repr(masked(StopIteration(USER)).value) == SHOWN
    assert masked(ImportError(USER, name="n", path="p")).path == "p"
    ring = ValueError(USER)
    ring.args = (USER, [ring], ring)
    assert SECRET not in repr(masked(ring))


def test_groups_with_a_signature_of_their_own(log):
    class Several(ExceptionGroup):
        def __new__(cls, errors):
            return super().__new__(cls, "several", errors)

    log.logger.error("m", exc_info=Several([ValueError(USER), KeyError("seen")]))
    assert SECRET not in log.text and f"ValueError: {SHOWN}" in log.text
    assert "Several: several" in log.text and "KeyError: 'seen'" in log.text


def test_annotations_that_cannot_be_read(log):
    @dataclasses.dataclass
    class Partly:
        p: "Hidden"
        f: "Missing" = None  # type: ignore[name-defined]  # noqa: F821
        n: "int" = 5

    log.logger.info("%s", Partly(SECRET))
    assert log.text.endswith("Partly(p=***, f=***, n=5)")


def test_text_that_another_handler_made(native):
    record = logging.LogRecord("a", 20, "", 1, "%s", (USER,), None)
    logging.Formatter().format(record)
    assert SECRET in record.message
    assert native.MaskingFilter().filter(record)
    assert "message" not in vars(record)


class Number(User):
    def __int__(self):
        return 5

    def __float__(self):
        return 5.0


def test_a_message_that_wants_a_number_is_kept(log):
    log.logger.info("%d of %s", Number("ann", SECRET), 7)
    log.logger.info("%(a)f", {"a": Number("ann", SECRET)})
    shown = SHOWN.replace("User", "Number")
    assert log.text.split("\n") == [f"%d of %s {shown} 7", f"%(a)f {{'a': {shown}}}"]


def test_mappings_that_make_values(native):
    log = Log(native.MaskingFilter(names=["token"]))
    made = collections.defaultdict(lambda: USER, user=USER)
    log.logger.info("%(user)s %(other)s %(token)s", made)
    assert log.text == f"{SHOWN} {SHOWN} ***"


def test_names_must_be_several(native):
    with pytest.raises(TypeError, match=r"MaskingFilter\(\) names must be several str"):
        native.MaskingFilter(names="password")


def raised(error, cause=None):
    try:
        try:
            raise ValueError(USER)
        except ValueError as inner:
            if cause is None:
                raise error from inner
            raise error from cause
    except Exception as caught:
        return caught


ERRORS = {
    "key": lambda: KeyError(USER),
    "fields": lambda: LoginError("ann", SECRET),
    "outer": lambda: RuntimeError("outer"),
    "group": lambda: ExceptionGroup("several", [ValueError(USER), TypeError("b")]),
    "groups": lambda: ExceptionGroup("a", [ExceptionGroup("in", [LoginError("ann", SECRET)])]),
}


@pytest.mark.parametrize("kind", ERRORS)
def test_exceptions(log, kind):
    error = raised(ERRORS[kind]())
    before = repr(error.args)
    log.logger.error("failed", exc_info=error)
    assert SECRET not in log.text and "***" in log.text
    assert type(error).__name__ in log.text and "Traceback" in log.text
    assert repr(error.args) == before and error.__cause__.args == (USER,)


def test_exception_attributes_and_cached_text(native):
    error = ValueError("plain")
    error.user = USER
    record = logging.LogRecord("a", 40, "", 1, "m", (), (ValueError, error, None))
    record.exc_text = f"ValueError: {USER}"
    assert native.MaskingFilter().filter(record)
    assert record.exc_text is None and repr(record.exc_info[1].user) == SHOWN
    assert type(record.exc_info[1]) is ValueError and error.user is USER


def test_an_exception_that_cannot_be_made_again(native):
    class Awkward(Exception):
        def __new__(cls, user):
            return super().__new__(cls, user)

    log = Log(native.MaskingFilter())
    log.logger.error("m", exc_info=Awkward(USER))
    assert log.text.endswith(f"Awkward: {SHOWN}")
    error = UnicodeDecodeError("ascii", b"abc", 0, 1, "why")
    error.user = USER
    log.logger.error("%s", error)
    assert log.text.endswith(str(error))
    log = Log(native.MaskingFilter(names=["object"]))
    log.logger.error("m", exc_info=error)
    assert log.text.endswith("UnicodeDecodeError: ***")


def test_exceptions_in_a_ring(log):
    one, two = ValueError(USER), KeyError("a")
    one.__cause__, two.__cause__ = two, one
    log.logger.error("m", exc_info=one)
    assert SECRET not in log.text


@pytest.mark.parametrize("where", ["args", "msg", "extra"])
def test_values_that_fail(native, where):
    class Fails:
        x: int

        @property
        def x(self):  # noqa: F811
            raise ZeroDivisionError

    log = Log(native.MaskingFilter(), "%(message)s %(more)s")
    value = Fails()
    message, args = (value, ()) if where == "msg" else ("%s", (value if where == "args" else 1,))
    log.logger.info(message, *args, extra={"more": value if where == "extra" else 2})
    assert "***" in log.text


def test_a_failing_repr_in_what_is_masked(log):
    log.logger.info("%s", Order(USER, Shouts()))
    log.logger.info("%s", [USER, {"a": Shouts()}])

    class Breaks:
        def __repr__(self):
            raise ZeroDivisionError

    log.logger.info("%s", User(Breaks(), SECRET))
    assert log.text.split("\n")[-1] == "***" and SECRET not in log.text


def test_cycles(log):
    value = [USER]
    value.append(value)
    log.logger.info("%s", value)
    assert log.text == f"[{SHOWN}, ***]"


def test_name_of_the_logger(native):
    masking = native.MaskingFilter("a.b")
    record = logging.LogRecord("other", 20, "", 1, "%s", (USER,), None)
    assert masking.filter(record) is False and record.args == (USER,)


def test_queue_handler(native):
    waiting: queue.Queue[logging.LogRecord] = queue.Queue()
    handler = logging.handlers.QueueHandler(waiting)
    handler.addFilter(native.MaskingFilter())
    logger = logging.Logger("queue")
    logger.addHandler(handler)
    try:
        raise KeyError(USER)
    except KeyError:
        logger.exception("%s", USER, extra={"user": USER})
    record = waiting.get_nowait()
    travelled = pickle.loads(pickle.dumps(vars(record)))
    assert SECRET not in repr(travelled) and travelled["message"].startswith(SHOWN)


def test_dict_config(native, tmp_path):
    path = tmp_path / "log"
    config = {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"mask": {"()": "ferrule.validation.MaskingFilter", "names": ["token"]}},
        "handlers": {
            "file": {"class": "logging.FileHandler", "filename": str(path), "filters": ["mask"]}
        },
        "loggers": {"mask_test": {"handlers": ["file"], "level": "INFO", "propagate": False}},
    }
    logging.config.dictConfig(config)
    logger = logging.getLogger("mask_test")
    logger.info("%s %s", USER, {"token": SECRET})
    for handler in list(logger.handlers):
        handler.close()
        logger.removeHandler(handler)
    assert path.read_text() == f"{SHOWN} {{'token': ***}}\n"


def test_what_is_text_already_is_not_found(log):
    log.logger.info(f"{USER}")
    assert SECRET in log.text
