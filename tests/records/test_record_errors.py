"""Bad input: each error names class and field, and leaves the object as it was."""

import dataclasses
from typing import Annotated, Any, ClassVar

import pytest


def reading(impl: Any, **options: Any) -> Any:
    class SensorReading(impl.Record, **{"gc": False, **options}):
        timestamp: impl.i64
        value: impl.f64
        unit: str

    return SensorReading


@pytest.mark.parametrize(
    ("field", "given", "error", "message"),
    [
        ("value", "abc", TypeError, "SensorReading.value: wanted f64, got str 'abc'"),
        ("timestamp", 1.5, TypeError, "SensorReading.timestamp: wanted i64, got float 1.5"),
        ("timestamp", None, TypeError, "SensorReading.timestamp: wanted i64, got NoneType None"),
        (
            "timestamp",
            2**63,
            OverflowError,
            "SensorReading.timestamp: wanted i64, got int 9223372036854775808",
        ),
        (
            "value",
            2**53 + 1,
            ValueError,
            "SensorReading.value: wanted f64, got int 9007199254740993",
        ),
    ],
)
def test_a_wrong_value_is_named_and_changes_nothing(impl, field, given, error, message):
    cls = reading(impl)
    good = {"timestamp": 1, "value": 2.0, "unit": "C"}
    with pytest.raises(error) as caught:
        cls(**{**good, field: given})
    assert type(caught.value) is error and str(caught.value).endswith(message)
    made = cls(**good)
    with pytest.raises(error) as caught:
        setattr(made, field, given)
    assert type(caught.value) is error and str(caught.value).endswith(message)
    assert impl.asdict(made) == good


def test_long_values_are_shortened_in_messages(impl):
    with pytest.raises(TypeError) as caught:
        reading(impl)(1, "x" * 100_000, "C")
    assert len(str(caught.value)) < 400
    assert "SensorReading.value: wanted f64, got str 'xxx" in str(caught.value)


def test_a_value_whose_repr_raises_does_not_hide_behind_system_error(impl):
    class Rude:
        def __repr__(self):
            raise RuntimeError("rude")

    with pytest.raises((TypeError, RuntimeError)):
        reading(impl)(Rude(), 1.0, "C")


@pytest.mark.parametrize(
    ("args", "keywords", "message"),
    [
        (
            (),
            {},
            "__init__() missing 3 required positional arguments: 'timestamp', 'value', and 'unit'",
        ),
        ((1,), {}, "__init__() missing 2 required positional arguments: 'value' and 'unit'"),
        ((1, 2.0), {}, "__init__() missing 1 required positional argument: 'unit'"),
        (
            (),
            {"value": 1.0, "unit": ""},
            "__init__() missing 1 required positional argument: 'timestamp'",
        ),
        ((1, 2, "C", 4), {}, "__init__() takes 4 positional arguments but 5 were given"),
        ((1, 2, "C"), {"nope": 1}, "__init__() got an unexpected keyword argument 'nope'"),
        ((1, 2, "C"), {"value": 1}, "__init__() got multiple values for argument 'value'"),
    ],
)
def test_call_errors_read_as_those_of_functions(define, args, keywords, message):
    module = define(
        """
        class SensorReading(Record, gc=False):
            timestamp: i64
            value: f64
            unit: str
        """
    )
    with pytest.raises(TypeError) as caught:
        module.SensorReading(*args, **keywords)
    assert str(caught.value) == f"SensorReading.{message}"


CALLS = [
    ((), {}),
    ((1,), {}),
    ((1, 2), {}),
    ((1, 2, 3), {}),
    ((1, 2, 3, 4), {}),
    ((1, 2, 3, 4, 5, 6, 7), {}),
    ((1,), {"k": 1}),
    ((1,), {"k": 1, "l": 2}),
    ((1,), {"a": 1, "k": 1}),
    ((), {"zzz": 1}),
    ((), {"a": 1, "kk": 1, "k": 2}),
    ((1, 2, 3, 4), {"k": 1}),
    ((1, 2, 3), {"k": 1, "b": 5}),
]

SCHEMAS = {
    "none": "",
    "one required": "a: i64",
    "two required": "a: i64\n b: i64",
    "defaults": "a: i64\n b: i64 = 2\n c: i64 = 3",
    "only defaults": "a: i64 = 1\n b: i64 = 2",
    "keyword-only required": "a: i64\n _: KW_ONLY\n k: i64\n l: i64",
    "keyword-only defaults": "a: i64 = 1\n _: KW_ONLY\n k: i64\n l: i64 = 5",
    "keyword-only alone": "_: KW_ONLY\n k: i64\n l: i64\n m: i64",
}


@pytest.mark.parametrize("schema", SCHEMAS)
def test_calls_get_the_verdict_and_the_message_of_a_dataclass(define, schema):
    module = define(f"class C(Record):\n {SCHEMAS[schema] or 'pass'}")
    plain = define(
        "import dataclasses\ni64 = int\n"
        f"@dataclasses.dataclass(slots=True)\nclass C:\n {SCHEMAS[schema] or 'pass'}"
    )
    for args, keywords in CALLS:
        outcomes = []
        for cls in (module.C, plain.C):
            try:
                outcomes.append(repr(cls(*args, **keywords)))
            except TypeError as error:
                outcomes.append(str(error).partition(". Did you mean")[0])
        assert outcomes[0] == outcomes[1], (args, keywords)


def test_keywords_that_are_no_strings_are_refused(impl):
    with pytest.raises(TypeError, match="keywords must be strings"):
        reading(impl)(**{1: 2})


def test_a_default_before_a_field_without_one_is_refused(impl):
    with pytest.raises(TypeError, match="non-default argument 'y' follows default argument"):

        class C(impl.Record):
            x: impl.i64 = 1
            y: impl.i64

    class Base(impl.Record):
        x: impl.i64 = 1

    with pytest.raises(TypeError, match="non-default argument 'y' follows default argument"):

        class D(Base):
            y: impl.i64


@pytest.mark.parametrize("default", [[], {}, set()])
def test_mutable_defaults_are_refused(impl, default):
    name = type(default).__name__
    with pytest.raises(ValueError, match=f"mutable default <class '{name}'> for field x is not"):

        class C(impl.Record):
            x: object = default


def test_a_second_keyword_only_marker_is_refused(impl):
    with pytest.raises(TypeError, match="KW_ONLY has already been specified"):

        class C(impl.Record):
            a: impl.i64
            _: impl.KW_ONLY
            b: impl.i64
            __: impl.KW_ONLY
            c: impl.i64


def test_a_field_without_annotation_is_refused(impl):
    with pytest.raises(TypeError, match="'x' is a field but has no type annotation"):

        class C(impl.Record):
            x = impl.field()


def test_a_class_variable_with_default_factory_is_refused(impl):
    with pytest.raises(TypeError, match="field x cannot have a default factory"):

        class C(impl.Record):
            x: ClassVar[int] = impl.field(default_factory=int)


@pytest.mark.parametrize("origin", [int, float, list, bytearray])
def test_size_on_other_types_is_an_unsupported_annotation(impl, origin):
    with pytest.raises(TypeError, match=r"C\.x|field 'x'"):

        class C(impl.Record):
            x: Annotated[origin, impl.Size(4)]


def test_two_storage_kinds_on_one_field_are_an_unsupported_annotation(impl):
    with pytest.raises(TypeError, match=r"C\.x|field 'x'"):

        class C(impl.Record):
            x: Annotated[bytes, impl.Size(4), impl.Size(5)]


def test_undeclared_attributes_name_class_and_attribute(impl):
    made = reading(impl)(1, 2.0, "C")
    for attempt in (
        lambda: made.nope,
        lambda: setattr(made, "nope", 1),
        lambda: delattr(made, "nope"),
    ):
        with pytest.raises(AttributeError, match=r"SensorReading.*nope"):
            attempt()
    assert not hasattr(made, "__dict__")


def test_undeclared_attributes_of_all_scalar_classes_name_class_and_attribute(impl):
    class Point(impl.Record):
        x: impl.f64
        y: impl.f64

    made = Point(1, 2)
    for attempt in (
        lambda: made.nope,
        lambda: setattr(made, "nope", 1),
        lambda: delattr(made, "nope"),
    ):
        with pytest.raises(AttributeError, match=r"Point.*nope"):
            attempt()


def test_undeclared_attributes_of_frozen_records_are_attribute_errors(impl):
    made = reading(impl, frozen=True)(1, 2.0, "C")
    with pytest.raises(AttributeError, match="nope"):
        made.nope = 1
    with pytest.raises(AttributeError, match="nope"):
        made.nope  # noqa: B018


@pytest.mark.parametrize("name", ["timestamp", "value"])
def test_deleting_an_unboxed_field_names_class_and_field(impl, name):
    made = reading(impl)(1, 2.0, "C")
    with pytest.raises(AttributeError) as caught:
        delattr(made, name)
    assert "SensorReading" in str(caught.value) and name in str(caught.value)
    assert impl.astuple(made) == (1, 2.0, "C")


def test_a_descriptor_refuses_instances_of_other_classes(native):
    class Other(native.Record):
        timestamp: native.i64

    cls = reading(native)
    for stranger in (Other(1), 5, object()):
        for name in ("timestamp", "unit"):
            with pytest.raises((TypeError, AttributeError)):
                vars(cls)[name].__get__(stranger)
            with pytest.raises((TypeError, AttributeError)):
                vars(cls)[name].__set__(stranger, 1)


def test_new_and_init_refuse_other_classes(impl):
    cls = reading(impl)

    class Other(impl.Record):
        x: impl.i64

    with pytest.raises((TypeError, AttributeError)):
        cls.__init__(Other(1), 1, 2.0, "C")
    with pytest.raises(TypeError):
        cls.__new__(int)
    with pytest.raises(TypeError):
        object.__new__(cls, 1, 2) if cls.__init__ is object.__init__ else cls.__new__()


def test_errors_of_index_and_float_methods_come_through_unchanged(impl):
    class Bad:
        def __index__(self):
            raise KeyError("mine")

        def __float__(self):
            raise KeyError("mine")

    made = reading(impl)(1, 2.0, "C")
    for name in ("timestamp", "value"):
        with pytest.raises(KeyError, match="mine"):
            setattr(made, name, Bad())
    assert impl.astuple(made) == (1, 2.0, "C")


def test_index_and_float_methods_that_give_nonsense_are_type_errors(impl):
    class Bad:
        def __index__(self):
            return "1"

        def __float__(self):
            return "1"

    for args in ((Bad(), 1.0, ""), (1, Bad(), "")):
        with pytest.raises(TypeError):
            reading(impl)(*args)


def test_errors_of_default_factories_and_post_init_come_through_unchanged(impl):
    def broken():
        raise KeyError("factory")

    class C(impl.Record):
        x: object = impl.field(default_factory=broken)

    class D(impl.Record):
        def __post_init__(self):
            raise KeyError("post")

    with pytest.raises(KeyError, match="factory"):
        C()
    assert C(1).x == 1
    with pytest.raises(KeyError, match="post"):
        D()


def test_a_default_factory_of_an_unboxed_field_is_checked(impl):
    class C(impl.Record):
        x: impl.i64 = impl.field(default_factory=str)

    with pytest.raises(TypeError, match=r"(^|\.)C\.x: wanted i64, got str ''$"):
        C()


def test_explicit_slots_are_refused(impl):
    with pytest.raises(TypeError, match="__slots__"):

        class C(impl.Record):
            __slots__ = ("x",)
            x: impl.i64


@pytest.mark.parametrize(
    "keyword", ["frozen", "order", "eq", "repr", "init", "unsafe_hash", "match_args", "kw_only"]
)
def test_keywords_misspelt_are_not_swallowed(impl, keyword):
    with pytest.raises(TypeError):

        class C(impl.Record, **{f"{keyword}_": True}):
            x: impl.i64


def test_frozen_errors_are_the_error_of_dataclasses(impl):
    made = reading(impl, frozen=True)(1, 2.0, "C")
    with pytest.raises(dataclasses.FrozenInstanceError) as caught:
        made.value = "abc"
    assert isinstance(caught.value, AttributeError)
    assert str(caught.value).startswith("cannot assign to field 'value' of frozen record '")
    assert str(caught.value).endswith("SensorReading'")
