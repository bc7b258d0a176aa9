"""`Regex`: random patterns over random texts, and the verdict of `re` each time.

The generator covers the whole grammar that is read natively. `test_a_million` is the deep one.
"""

from __future__ import annotations

import random
import re
import signal
import warnings

import pytest

#: What texts are made of: each kind of character that a pattern can tell from others.
ALPHABET = (
    "aaabbbcABCxyz019__  \n\n-.@\t\r\x0b\x1c\x85\xa0\xb5\xdf\xe9\xc9ikIKsS"
    "\u0131\u0130\u017f\u212a\u0660\u0966\u2028\u4e2d\u00b2\u01c5\U0001d7d8\U0001f600\ud800\udfff"
)
LITERALS = "aaabbcABCkIsxyz01_-@ \n.é中\u212a\u017f\U0001f600\ud800"
CATEGORIES = (r"\d", r"\w", r"\s", r"\D", r"\W", r"\S")
ESCAPES = (r"\x61", r"\u0062", r"\U00000063", r"\n", r"\t", r"\101", r"\0", r"\.", r"\-", r"\\")
ANCHORS = ("^", "$", r"\A", r"\Z", r"\b", r"\B", "(?m:^)", "(?m:$)", r"(?a:\b)", r"(?a:\B)")
QUANTIFIERS = ("*", "+", "?", "{2}", "{0,2}", "{1,}", "{,3}", "{2,4}", "{0}", "*?", "+?", "??")
MODES = ("search", "match", "fullmatch")
FLAGS = (0, 0, 0, re.I, re.M, re.S, re.A, re.I | re.M, re.I | re.A, re.M | re.S, re.X)


def literal(rng: random.Random) -> str:
    char = rng.choice(LITERALS)
    return re.escape(char) if rng.random() < 0.8 or char in ".-" else char


def element(rng: random.Random) -> str:
    kind = rng.random()
    if kind < 0.4:
        return literal(rng)
    if kind < 0.7:
        low, high = sorted(rng.choices("aAzZ09é\u0131\u4e00\uffff\x00\x7f\x80\U0001f64f", k=2))
        return f"{re.escape(low)}-{re.escape(high)}"
    return rng.choice(CATEGORIES) if kind < 0.9 else rng.choice(ESCAPES)


def charset(rng: random.Random) -> str:
    content = "".join(element(rng) for _ in range(rng.randint(1, 3)))
    return f"[{'^' if rng.random() < 0.3 else ''}{content}{'-' if rng.random() < 0.1 else ''}]"


def group(rng: random.Random, depth: int) -> str:
    opened = rng.choice(
        ("(", "(?:", "(?:", "(?i:", "(?s:", "(?m:", "(?a:", "(?-i:", "(?x: ", "(?i-s:", "(?u:")
    )
    if rng.random() < 0.1:
        opened = f"(?P<g{rng.randrange(10**9)}>"
    return f"{opened}{choice(rng, depth + 1)})"


def part(rng: random.Random, depth: int) -> str:
    kind = rng.random()
    if kind < 0.1:
        return rng.choice(ANCHORS)
    if kind < 0.45:
        atom = literal(rng)
    elif kind < 0.6:
        atom = charset(rng)
    elif kind < 0.75:
        atom = rng.choice((*CATEGORIES, ".", ".", *ESCAPES))
    elif depth < 3:
        atom = group(rng, depth)
    else:
        atom = "a"
    return atom + (rng.choice(QUANTIFIERS) if rng.random() < 0.35 else "")


def choice(rng: random.Random, depth: int = 0) -> str:
    return "|".join(
        "".join(part(rng, depth) for _ in range(rng.randint(0 if rng.random() < 0.2 else 1, 3)))
        for _ in range(rng.choice((1, 1, 1, 2, 3)))
    )


def text(rng: random.Random) -> str:
    chars = ALPHABET[:24] if rng.random() < 0.6 else ALPHABET
    return "".join(rng.choices(chars, k=rng.choice((0, 1, 1, 2, 3, 4, 6, 9, 40))))


class TooLong(Exception):
    pass


def give_up(*args):
    raise TooLong


def verdicts(expected: re.Pattern[str], sample: str) -> dict[str, bool] | None:
    """What re says; None where it does not come to an end."""
    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    try:
        return {mode: getattr(expected, mode)(sample) is not None for mode in MODES}
    except TooLong:
        return None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def compare(make, seed: int, pairs: int, texts: int = 12) -> tuple[int, int]:
    """How many pairs were compared, and how many of them natively."""
    rng = random.Random(seed)
    compared = native = 0
    while compared < pairs:
        pattern = choice(rng)
        if rng.random() < 0.1:
            pattern = f"(?{rng.choice('imsxau')}){pattern}"
        flags = rng.choice(FLAGS)
        try:
            expected = re.compile(pattern, flags)
        except (re.error, OverflowError, ValueError):
            continue
        regex = make(pattern, flags)
        for _ in range(texts):
            sample = text(rng)
            answers = verdicts(expected, sample)
            if answers is None:
                break
            for mode, verdict in answers.items():
                found = getattr(regex, mode)(sample)
                assert found is verdict, (pattern, flags, mode, sample, verdict)
            compared += 3
            native += 3 * regex.linear
    re.purge()
    return compared, native


@pytest.mark.parametrize("seed", range(4))
def test_random_patterns(impl, seed):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compared, native = compare(impl.Regex, seed, 3000)
    assert native > compared / 2


@pytest.mark.slow  # for those who ask for what is not slow
@pytest.mark.deep
@pytest.mark.parametrize("seed", range(100, 110))
def test_a_million(native, seed):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compared, by_us = compare(native.Regex, seed, 100_000)
    assert by_us > 0.6 * compared
