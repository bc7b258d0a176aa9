"""`Email`: which texts are addresses, and what is said of the others."""

from __future__ import annotations

import copy
import importlib
import json
import pickle
import random
from pathlib import Path

import pytest

import services

#: The addresses of email-validator's tests and documentation, and its verdicts with the
#: defaults and without asking the network.
KNOWN = json.loads(Path(__file__).with_name("addresses.json").read_text(encoding="utf-8"))

REASONS = {
    "": "has no @",
    "a": "has no @",
    "@": "has nothing before the @",
    "@b.co": "has nothing before the @",
    "a@": "has nothing after the @",
    "a@b.c" + "o" * 260: "is too long",
    "a" * 250 + "@b.co": "is too long",
    "a b@c.de": "has a character before the @ that may not be",
    '"a"@c.de': "has a character before the @ that may not be",
    "Name <a@c.de>": "has a character before the @ that may not be",
    "a\x00@c.de": "has a character before the @ that may not be",
    "a\x7f@c.de": "has a character before the @ that may not be",
    "a\u200b@c.de": "has a character before the @ that may not be",
    "a\ud800@c.de": "has a character before the @ that may not be",
    "\u0308a@c.de": "has a character before the @ that may not be",
    "a\u037e@c.de": "has a character before the @ that may not be",
    "..(@c.de": "has a character before the @ that may not be",
    ".a@c.de": "has a misplaced dot before the @",
    "a.@c.de": "has a misplaced dot before the @",
    "a..b@c.de": "has a misplaced dot before the @",
    "a@b@c.de": "has a character after the @ that may not be",
    "a@b_c.de": "has a character after the @ that may not be",
    "a@.b_c.de": "has a character after the @ that may not be",
    "a@[127.0.0.1]": "has a character after the @ that may not be",
    "a@c.de\n": "has a character after the @ that may not be",
    "a@ c.de": "has a character after the @ that may not be",
    "a@\ud800.de": "has a character after the @ that may not be",
    "a@.c.de": "has a misplaced dot or hyphen after the @",
    "a@c..de": "has a misplaced dot or hyphen after the @",
    "a@c.de.": "has a misplaced dot or hyphen after the @",
    "a@-c.de": "has a misplaced dot or hyphen after the @",
    "a@c-.de": "has a misplaced dot or hyphen after the @",
    "a@c.-de": "has a misplaced dot or hyphen after the @",
    "a@c.de-": "has a misplaced dot or hyphen after the @",
    "a@ab--c.de": "has a misplaced dot or hyphen after the @",
    "a@c.zz--e": "has a misplaced dot or hyphen after the @",
    f"a@{'c' * 64}.de": "has more than 63 characters between two dots",
    "a@localhost": "has no dot after the @",
    "a@c.d3": "has no top-level domain at its end",
    "a@127.0.0.1": "has no top-level domain at its end",
    "a@b.test": "has a domain that is kept for special use",
    "a@b.LOCAL": "has a domain that is kept for special use",
    "a@x.y.onion": "has a domain that is kept for special use",
    "a@é.test": "has a domain that is kept for special use",
    "a@xn--0.de": "has a domain that IDNA does not allow",
}

GOOD = (
    "a@b.co",
    "john.smith+tag@mail.example.com",
    "!#$%&'*+-/=?^_`{|}~@b.co",
    "A.B@C-D.CO",
    "1@2.3.co",
    "a" * 64 + "@b.co",
    "a" * 240 + "@b.co",
    f"a@{'c' * 63}.de",
    "ä.ö@ü.de",
    "o\u0308@b.co",
    "用户@例子.中国",
    "a@xn--fsqu00a.xn--0zwm56d",
    "a@testing.latest",
    "a@a-b--c.de",
)


@pytest.fixture
def check(impl):
    name = "ferrule._validation" if impl.__name__ == "ferrule.validation" else impl.__name__
    if name == "ferrule.pure.validation":
        name += "._email"
    return importlib.import_module(name)._email_check


@pytest.mark.parametrize("address", GOOD)
def test_good(check, address):
    assert check(address) is True


@pytest.mark.parametrize("address", REASONS)
def test_refused(check, address):
    assert check(address) is False


@pytest.mark.parametrize("address", REASONS)
def test_reason_of_the_twin(address):
    module = importlib.import_module("ferrule.pure._email_address")
    assert module.reason(address) == REASONS[address]


def test_known(check):
    """Refused or accepted as by email-validator, on the addresses of its tests."""
    assert [address for address in KNOWN["accepted"] if not check(address)] == []
    assert [address for address in KNOWN["refused"] if check(address)] == []


PIECES = (
    *"abZ9.-_+@",
    *("é", "中", "א", ".com", "xn--", "--", "test", "o\u0308", "\u0308", "。", "．", "①", "\u200d"),
    *(" ", "'", "local", ".co", "한", "\ud800", "\u212a", "\u037e", "٣", "xn--4dbc", "x" * 60, "ﬀ"),
)


def samples(count):
    rng = random.Random(5)
    for _ in range(count):
        local = "".join(rng.choices(PIECES, k=rng.randint(1, 3)))
        domain = "".join(rng.choices(PIECES, k=rng.randint(1, 5)))
        yield f"{rng.choice((local, 'ab'))}@{domain}{rng.choice(('', '.com', '.co', '.中国'))}"


def test_twins_agree(native):
    del native
    check = importlib.import_module("ferrule._validation")._email_check
    reason = importlib.import_module("ferrule.pure._email_address").reason
    for address in samples(2000):
        assert check(address) is (reason(address) is None), address


@pytest.mark.integration
def test_email_validator(check):
    services.library("email_validator")
    library = importlib.import_module("email_validator")
    for address in (*samples(2000), *GOOD, *REASONS, *KNOWN["accepted"], *KNOWN["refused"]):
        try:
            library.validate_email(address, check_deliverability=False)
        except library.EmailNotValidError:
            assert not check(address), address
        else:
            assert check(address), address


def test_without_idna(check, monkeypatch):
    """Shape and encoding are checked still; the rules of scripts are not."""
    module = importlib.import_module("ferrule.pure._email_address")
    monkeypatch.setattr(module, "_library", lambda: module._Structure)
    for address in ("a@ü.de", "用户@例子.中国", "a@xn--fsqu00a.xn--0zwm56d", "a@例。de", "a@b.co"):
        assert check(address), address
    for address in (
        "a@xn--0.de",
        "a@\u200d.de",
        "a@é☃.de",
        "a@ü.test",
        "a@-ü.de",
        f"a@{'ü' * 70}.de",
    ):
        assert not check(address), address


class Text(str):
    def partition(self, sep):
        raise AssertionError


def test_subclasses_of_str(check):
    assert check(Text("a@b.co")) and check(Text("ä@ö.de")) and not check(Text("a"))


def test_wrong_type(check):
    for address in (b"a@b.co", None, 3):
        with pytest.raises(TypeError) as caught:
            check(address)
        assert str(caught.value) == f"_email_check() wants a str, not '{type(address).__name__}'"


def test_constant(impl):
    assert repr(impl.Email) == "Email" and impl.Email() is impl.Email
    assert copy.copy(impl.Email) is copy.deepcopy(impl.Email) is impl.Email
    assert impl.Email == impl.Email and impl.Email != "Email" and hash(impl.Email)


def test_constant_native(native):
    assert pickle.loads(pickle.dumps(native.Email)) is native.Email
    assert isinstance(native.Email, native.Constraint)
    with pytest.raises(TypeError):
        native.Email(1)
    with pytest.raises(TypeError):
        type(native.Email)()
