"""`Regex`: the verdict of `re`, the boundary to it, and errors."""

from __future__ import annotations

import copy
import inspect
import pickle
import random
import re
import signal
import sys
import time
import warnings

import pytest

MODES = ("search", "match", "fullmatch")

PATTERNS = {
    r"^[a-zA-Z0-9_]+$": ["", "a", "user_01", "user-01", "a\n", "a\n\n", "\n", "é", "a" * 40],
    r"^[^@\s]+@[^@\s]+\.[a-z]{2,}$": [
        "a@b.co",
        "a@b.c",
        "a@b@c.de",
        "a b@c.de",
        "ä@ö.de",
        "a@b.co\n",
    ],
    r"^\d{5}(-\d{4})?$": ["12345", "12345-6789", "1234", "123456", "١٢٣٤٥", "12345-678"],
    r"^[a-z]+(?:-[a-z]+)*$": ["a", "a-b", "a--b", "-a", "a-"],
    r"": ["", "a", "\n"],
    r"$": ["", "a", "a\n"],
    r"\Z": ["", "a\n"],
    r"\Aa": ["a", "\na", "ba"],
    r"(?m)^b$": ["b", "a\nb", "b\na", "a\nbc", "a\n\nb\n"],
    r"(?m)^$": ["", "a", "a\n", "a\n\nb", "\n"],
    r"(?m)^\s*#.*$": ["x\n  # y\nz", "x # y"],
    r"a\nb$": ["a\nb\n", "a\nb\n\n"],
    r".+": ["", "\n", "a", "\n\na"],
    r"(?s).\n.": ["a\nb", "\n\n\n", "ab"],
    r"\bcat\b": ["cat", "a cat.", "cats", "écat", "cat_", "cat\n", "scat cat"],
    r"\Bcat": ["cat", "scat", "écat"],
    r"(?a)\bcat": ["écat", "cat", "xcat"],
    r"\b": ["", " ", "a"],
    r"\B": [" ", "a", "aa"],
    r"(?i)straße|KELVIN": ["kelvin", "\u212aelvin", "STRASSE", "ſ"],
    r"(?i)[k-s]{2}": ["KS", "\u212a\u017f", "ij", "\u0131\u0130"],
    r"(?i)i": ["I", "\u0130", "\u0131", "j"],
    r"(?ai)i|k|s": ["I", "\u0130", "\u212a", "S"],
    r"(?i)é": ["É", "é", "e"],
    r"[^\W\d_]+": ["_1", "é", "1a", "\u0660"],
    r"[\d\s]": ["\u0660", "\xa0", "\u2028", "\x1c", "a"],
    r"(?a)[\d\s]": ["\u0660", "\xa0", "\x1c", "1"],
    r"[^\u4e00-\u9fff]": ["中", "中a", ""],
    r"[\U0001f600-\U0001f64f]": ["\U0001f600", "a", "\U0001f650", "\u3000"],
    r"[\ud800-\udfff]": ["\ud800", "a\udfff", "\U0001f600", "\ue000"],
    r"(a|b)*?c{2,3}": ["abcc", "abc", "ccccc", "cc"],
    r"(?:x{0}|y{,2}z)$": ["yyz", "", "x", "q"],
    r"a{2,}?|[]a-]": ["aa", "]", "-", "b", "a"],
    r"a{,}b{}c{x}": ["aab{}c{x}", "b{}c{x}"],
    r"[\]\\\-\b]": ["]", "\\", "-", "\b", "b"],
    r"\x41\u0042\U00000043\104\0\a\f\v\t\r\n": ["ABCD\0\a\f\v\t\r\n", "ABCD"],
    "(?x) a b # c \\1 (?=x)\n [ ] \\# ": ["ab #", "ab#", "ab"],
    r"(?x:a b)c d": ["abc d", "a bc d", "abcd"],
    r"(?i:a)b(?-i:c)": ["Abc", "ABc", "abC"],
    r"a(?#no \1 (?=x)d|b": ["b", "ad", "a"],
    r"(?P<year>\d{4})-(?P<month>\d\d)": ["2026-11", "2026-1"],
    r"(?:(?:a|b)|(?:|c))*d": ["abcd", "d", "abce"],
    r"(a*)*(b?)+$": ["aab", "", "ba", "c"],
    r"|a": ["", "a", "b"],
    r"()": ["", "a"],
    "é.\U0001f600": ["éx\U0001f600", "éxx", "\xe9\n\U0001f600"],
}
IRREGULAR = {
    r"(a)\1": ("a backreference", 3),
    r"(?P<x>a)(?P=x)": ("a backreference", 8),
    r"ab(?=c)": ("a lookahead", 2),
    r"(?!a)b": ("a lookahead", 0),
    r"[(?=](?<=a)b": ("a lookbehind", 5),
    r"\(?(?<!a)b": ("a lookbehind", 3),
    r"(a)?(?(1)b|c)": ("a conditional group", 4),
    r"(?>a+)b": ("an atomic group", 0),
    r"xa++b": ("a possessive quantifier", 3),
    r"a{2,3}+b": ("a possessive quantifier", 6),
    r"\N{EM DASH}": ("a character by its name", 0),
    r"x(?a:\w)": ("a group with its own kind of letters", 1),
}


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("mode", MODES)
def test_verdict(impl, pattern, mode):
    regex, expected = impl.Regex(pattern), re.compile(pattern)
    for text in PATTERNS[pattern]:
        assert getattr(regex, mode)(text) is (getattr(expected, mode)(text) is not None), text


def test_linear(native):
    left = {pattern for pattern in PATTERNS if not native.Regex(pattern).linear}
    assert left == {r"(?i)straße|KELVIN", r"(?i)é"}


def test_linear_twin(impl):
    for pattern in PATTERNS:
        assert impl.Regex(pattern).linear or "(?i)" in pattern
        if impl.Regex(pattern).linear:
            assert impl.Regex(pattern, linear=True) == impl.Regex(pattern)


@pytest.mark.parametrize("pattern", IRREGULAR)
def test_left_to_re(impl, pattern):
    what, at = IRREGULAR[pattern]
    regex, expected = impl.Regex(pattern), re.compile(pattern)
    assert regex.linear is False
    for mode in MODES:
        for text in ("aa", "abc", "b", "ab", "aab", "c", "ac", "a—", "xaab", "xé", ""):
            assert getattr(regex, mode)(text) is (getattr(expected, mode)(text) is not None)
    with pytest.raises(ValueError) as caught:
        impl.Regex(pattern, linear=True)
    assert type(caught.value) is ValueError
    assert str(caught.value) == (
        f"Regex() pattern has {what} at position {at}, which takes more than linear time"
    )


@pytest.mark.parametrize(
    ("pattern", "what"),
    [
        (r"a{9000}", "more parts than are followed here"),
        (r"(?:ab?){1100}", "more parts than are followed here"),
        (r"((a{99}){99}){99}", "more parts than are followed here"),
        ("(" * 220 + ")" * 220, "deeper groups than are read here"),
        (r"(?i)[à-ü]", "a letter beyond ASCII in either case"),
        ("".join(map(chr, range(0x4E00, 0x5700))), "more different characters than are read here"),
        (f"[{''.join(map(chr, range(0x4E00, 0x9000, 2)))}]" * 2, "a larger set than is read here"),
    ],
)
def test_too_large(native, pattern, what):
    regex = native.Regex(pattern)
    assert regex.linear is False and regex.search("b") is bool(re.search(pattern, "b"))
    with pytest.raises(ValueError, match=what):
        native.Regex(pattern, linear=True)


def test_large(native):
    """Many states, many sets, many ranges, and a cache that is emptied."""
    text = "".join("ab"[i * i % 7 % 2] for i in range(1200))
    for pattern in (r"(?:a|b)*a(?:a|b){12}$", r"[ab]*a[ab]{300}c", r"a{1100}", "(?:ab?){400}$"):
        regex = native.Regex(pattern, linear=True)
        assert regex.search(text) is (re.search(pattern, text) is not None)
        assert regex.fullmatch(text[:13]) is (re.fullmatch(pattern, text[:13]) is not None)
    noise = "".join(random.Random(1).choices("ab", k=20_000))  # leads to more states than are kept
    regex = native.Regex(r"a(?:a|b){12}c", linear=True)
    assert not regex.search(noise)
    assert regex.search(f"{noise}a{'b' * 12}c") and not regex.search(f"{noise}{'b' * 13}c")
    words = [f"w{i * i % 997}{chr(0x4E00 + i * 37)}é" for i in range(300)]
    regex = native.Regex("|".join(words), linear=True)
    assert all(regex.fullmatch(word) for word in words) and not regex.search("w1é")


#: Patterns that lead to a new state with nearly each character of noise.
EXPLODING = (
    r"a.{60}c",
    r"a.{4000}c",
    r"[ab]*a[ab]{300}$",
    r"[ab]*a[ab]{12}$",
    r"a(?:bb?a|a){40}\b",
    r"(?m)a.{30}$",
)


@pytest.mark.parametrize("pattern", EXPLODING)
def test_without_states(native, pattern):
    """Where states explode, steps are followed: the verdict is the same, and soon there."""
    rng = random.Random(pattern)
    regex, expected = native.Regex(pattern, linear=True), re.compile(pattern)
    assert regex.search("".join(rng.choices("ab", k=200_000)) + "!") in (True, False)
    for tail in ("", "\n", "c", "a\n", "é", "\n\n", "\u4e2d"):
        text = "".join(rng.choices("ab", k=rng.randint(100, 200))) + tail
        assert regex.search(text) is (expected.search(text) is not None)
        short = text[-70:]
        for mode in MODES:
            found = getattr(expected, mode)(short) is not None
            assert getattr(regex, mode)(short) is found


class Enough(Exception):
    """Raised by a handler."""


@pytest.mark.parametrize("pattern", [r"a.{0,900}c", r"[^\W\d]+(?:x|y){9}"])
def test_signals_are_heard(native, pattern):
    """A handler may ask the same Regex, and end the search."""
    regex = native.Regex(pattern, linear=True)
    asked = []

    def handler(number, frame):
        asked.append(regex.search("abc" + "".join(random.choices("ab", k=3000)) + "ac"))
        raise Enough

    before = signal.signal(signal.SIGALRM, handler)
    try:
        text = "".join(random.Random(1).choices("ab", k=100_000)) * 50 + "é"
        with pytest.raises(Enough):
            signal.setitimer(signal.ITIMER_REAL, 0.005)  # inside: it may come at once
            for _ in range(1000):
                regex.search(text)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert len(asked) == 1 and regex.search("abc") is (pattern[0] == "a")


@pytest.mark.parametrize(
    "pattern", [r"^(a+)+$", r"(a*)*b", r"(?:a|a)*c", r"(a|aa)+$", r"(.*)(.*)(.*)x"]
)
def test_no_blow_up(native, pattern):
    regex = native.Regex(pattern, linear=True)
    text = "a" * 1_000_000 + "!"
    assert not regex.search(text)  # would outlast the universe
    assert not regex.fullmatch(text + "é" + "\u4e2d")


@pytest.mark.parametrize(
    "pattern", ["a(", "[z-a]", "*a", r"\q", "(?P<1>a)", "a{3,2}", "(?i", "a**", "(?<=a*)b"]
)
@pytest.mark.parametrize("linear", [False, True])
def test_bad_pattern(impl, pattern, linear):
    with pytest.raises(re.error) as expected:
        re.compile(pattern)
    with pytest.raises(re.error) as caught:
        impl.Regex(pattern, linear=linear)
    assert (str(caught.value), caught.value.pos) == (str(expected.value), expected.value.pos)


def test_bad_arguments(impl):
    for pattern in (b"a", None, 3, re.compile("a")):
        with pytest.raises(TypeError, match=r"Regex\(\) argument 1 must be str, not"):
            impl.Regex(pattern)
    with pytest.raises(TypeError):
        impl.Regex()
    with pytest.raises(TypeError):
        impl.Regex("a", 0, True)
    with pytest.raises(TypeError):
        impl.Regex("a", "i")
    with pytest.raises(ValueError):
        impl.Regex("a", re.LOCALE)
    with pytest.raises(ValueError):
        impl.Regex("a", re.ASCII | re.UNICODE)


@pytest.mark.parametrize("mode", MODES)
def test_bad_text(impl, mode):
    for text in (b"a", None, 3, ["a"]):
        with pytest.raises(TypeError) as caught:
            getattr(impl.Regex("a"), mode)(text)
        assert str(caught.value) == f"Regex.{mode}() wants a str, not '{type(text).__name__}'"
    with pytest.raises(TypeError):
        getattr(impl.Regex("a"), mode)()


class Text(str):
    def __eq__(self, other):
        raise AssertionError

    __hash__ = str.__hash__

    def __len__(self):
        return 77


def test_subclasses_of_str(impl):
    regex = impl.Regex(Text("^a+é?$"))
    assert type(regex.pattern) is str and regex == impl.Regex("^a+é?$")
    for mode in MODES:
        assert getattr(regex, mode)(Text("aaa")) and getattr(regex, mode)(Text("aé"))
        assert not getattr(regex, mode)(Text("b"))
        assert getattr(impl.Regex("(?=a)a"), mode)(Text("a"))


def test_value(impl):
    regex = impl.Regex("^a+$")
    assert (regex.pattern, regex.flags, regex.linear) == ("^a+$", 0, True)
    assert repr(regex) == "Regex('^a+$')" and str(regex) == "pattern:^a+$"
    other = impl.Regex("a'", flags=re.I | re.M)
    assert repr(other) == 'Regex("a\'", 10)' and type(other.flags) is int
    assert regex == impl.Regex("^a+$") and hash(regex) == hash(impl.Regex("^a+$"))
    assert regex == impl.Regex("^a+$", linear=True)
    assert regex != impl.Regex("^a+$", re.I) and regex != other
    assert regex != "^a+$" and regex != "pattern:^a+$" and regex is not None
    with pytest.raises(TypeError):
        regex < other  # noqa: B015
    with pytest.raises(AttributeError):
        regex.pattern = "b"
    with pytest.raises(AttributeError):
        regex.new = 1


@pytest.mark.parametrize("pattern", ["^a+$", "(?=a)"])
def test_copies(impl, pattern):
    regex = impl.Regex(pattern, re.I)
    for copied in (copy.copy(regex), copy.deepcopy(regex)):
        assert copied == regex and type(copied) is impl.Regex
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(regex, protocol))
        assert again == regex and again.linear is regex.linear


def test_flags(impl):
    assert impl.Regex("a", re.I).search("A") and not impl.Regex("a").search("A")
    assert impl.Regex("a.b", re.S).fullmatch("a\nb") and not impl.Regex("a.b").fullmatch("a\nb")
    assert impl.Regex("^b", re.M).search("a\nb") and not impl.Regex("^b").search("a\nb")
    assert impl.Regex("a b", re.X).fullmatch("ab")
    assert impl.Regex(r"\w", re.A).search("é") is False and impl.Regex(r"\w").search("é") is True


def test_warnings_of_re(impl):
    re.purge()
    with pytest.warns(FutureWarning):
        regex = impl.Regex("[[a]")
    assert regex.search("[") and regex.linear


def test_empty_text_between_words(impl):
    for pattern in (r"\b", r"\B", r"(?a)\B", r"a*\Bb*", r"\b|\B", r"(?:\B|x)$"):
        for mode in MODES:
            expected = getattr(re, mode)(pattern, "") is not None
            assert getattr(impl.Regex(pattern), mode)("") is expected


def test_signature(native):
    assert str(inspect.signature(native.Regex)) == "(pattern, flags=0, *, linear=False)"
    assert str(inspect.signature(native.Regex.search)) == "(self, text, /)"


def test_every_character(native):
    """Sets and categories ask the same of each code point as re does."""
    everything = [chr(i) for i in range(0, 0x11000 if sys.flags.dev_mode else 0x30000, 3)]
    for pattern in (r"\w", r"\d", r"\s", r"[^\W_]", r"(?a)\S", r"(?i)[a-z]", r"(?i)[^ksi]", r"\b"):
        regex, expected = native.Regex(pattern, linear=True), re.compile(pattern)
        found = [c for c in everything if regex.search(c)]
        assert found == [c for c in everything if expected.search(c)]


CORPUS = "patterns.txt"


def test_corpus(native, request):
    """At least 95 % of patterns from the field take the automaton."""
    lines = (request.path.parent / CORPUS).read_text(encoding="utf-8").splitlines()
    patterns = [line for line in lines if line]
    assert len(set(patterns)) == len(patterns) >= 200
    texts = [
        "",
        "a",
        "abc",
        "a@b.co",
        "2026-11-29",
        "1.2.3",
        "é",
        "http://a.b/c?d#e",
        "A-1_b",
        "12:30",
    ]
    linear = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for pattern in patterns:
            regex = native.Regex(pattern)
            expected = re.compile(pattern)
            linear += regex.linear
            for text in texts:
                assert regex.search(text) is (expected.search(text) is not None), (pattern, text)
    assert linear >= 0.95 * len(patterns), linear / len(patterns)


@pytest.mark.slow
def test_takes_the_time_of_a_scan(native):
    """Nested quantifiers cost no more a character than a simple pattern, within a wide factor."""
    text = "a" * 1_000_000 + "!"

    def cost(pattern):
        regex = native.Regex(pattern, linear=True)
        regex.search("a")
        begin = time.process_time()
        assert not regex.search(text)
        return time.process_time() - begin

    assert cost(r"^(a+)+$") < 20 * max(cost(r"^a+$"), 1e-3)
