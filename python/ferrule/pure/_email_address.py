"""Which texts are addresses of electronic mail: `Email`'s twin, and for international ones itself.

The text after the @ is looked at as IDNA 2008 wants by the library `idna`, where it is installed;
without it the letters, the lengths and the encoding are checked, but not the rules of scripts.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

_LOCAL = r"[\w!#$%&'*+\-/=?^`{|}~]"
_LOCAL_CHARACTERS = re.compile(rf"(?:{_LOCAL}|[.]|[^\0-\x7f])+", re.ASCII)
_DOMAIN_CHARACTERS = re.compile(r"[A-Za-z0-9.\-\x80-\U0010ffff]+")
_MISPLACED_DOT = re.compile(r"\A\.|\.\.|\.\Z")
_MISPLACED = re.compile(r"\A[.-]|[.-]\Z|\.[.-]|-\.|(?:\A|\.)(?!xn)[^.]{2}--", re.IGNORECASE)
_SPECIAL_USE = {"arpa", "invalid", "local", "localhost", "onion", "test"}

NO_LOCAL_CHARACTER = "has a character before the @ that may not be"
NO_DOMAIN_CHARACTER = "has a character after the @ that may not be"
NOT_IDNA = "has a domain that IDNA does not allow"


def _unsafe(text: str) -> bool:
    """Is there what shows as nothing, as a space, or as part of what stands before it?"""
    kinds = [unicodedata.category(char)[0] for char in text]
    return "C" in kinds or "Z" in kinds or kinds[:1] == ["M"]


def _local(local: str) -> str | None:
    for form in (local, unicodedata.normalize("NFC", local)):
        if not _LOCAL_CHARACTERS.fullmatch(form) or (not form.isascii() and _unsafe(form)):
            return NO_LOCAL_CHARACTER
        if _MISPLACED_DOT.search(form):
            return "has a misplaced dot before the @"
    return None


class _Structure:
    """What stands in for the library idna: shape and encoding only."""

    IDNAError = UnicodeError

    @staticmethod
    def uts46_remap(domain: str, **options: Any) -> str:
        domain = unicodedata.normalize("NFKC", domain.casefold())
        return domain.translate(dict.fromkeys(map(ord, "\u3002\uff0e\uff61"), "."))

    @staticmethod
    def alabel(label: str) -> bytes:
        if label.isascii():
            return label.encode()
        if not set([unicodedata.category(c)[0] for c in label if c != "-"]) <= set("LMN"):
            raise UnicodeError(label)
        return b"xn--" + label.encode("punycode")

    @classmethod
    def decode(cls, domain: bytes) -> str:
        labels = [
            label[4:].encode().decode("punycode") if label.startswith("xn--") else label
            for label in domain.decode().split(".")
        ]
        if ".".join([cls.alabel(label).decode() for label in labels]) != domain.decode():
            raise UnicodeError(domain)
        return ".".join(labels)

    encode = staticmethod(lambda domain: domain)
    check_bidi = staticmethod(lambda label, check_ltr: True)


def _library() -> Any:
    try:
        import idna  # noqa: PLC0415
    except ImportError:
        return _Structure
    return idna


def _mapped(domain: str) -> str:
    """In lower case and normal form, with plain dots."""
    for char in domain:
        if char != "\uff0e" and "002E" in unicodedata.decomposition(char).split():
            raise UnicodeError(char)
    mapped: str = _library().uts46_remap(domain, std3_rules=False, transitional=False)
    return mapped


def _decoded(domain: str) -> str:
    """In the letters that its labels stand for."""
    library = _library()
    decoded: str = library.decode(domain.encode())
    if not _DOMAIN_CHARACTERS.fullmatch(decoded) or _unsafe(decoded):
        raise UnicodeError(decoded)
    if {"R", "AL", "AN"}.intersection([unicodedata.bidirectional(char) for char in decoded]):
        for label in decoded.split("."):
            library.check_bidi(label, check_ltr=True)
    library.encode(decoded)
    return decoded


def _host(domain: str) -> str | None:
    """Of a host name in ASCII."""
    if max(map(len, domain.split("."))) > 63:
        return "has more than 63 characters between two dots"
    if "." not in domain:
        return "has no dot after the @"
    if not domain[-1].isalpha():
        return "has no top-level domain at its end"
    if domain.rpartition(".")[2].lower() in _SPECIAL_USE:
        return "has a domain that is kept for special use"
    return None


def _international(local: str, domain: str) -> str | None:
    """Of a domain with letters beyond ASCII, or with labels that stand for such."""
    library = _library()
    try:
        mapped = _mapped(domain)
        if not _DOMAIN_CHARACTERS.fullmatch(mapped):
            return NO_DOMAIN_CHARACTER
        if _MISPLACED.search(mapped):
            return "has a misplaced dot or hyphen after the @"
        host = mapped
        if not host.isascii():
            host = ".".join([library.alabel(label).decode() for label in mapped.split(".")])
        if len(host) > 253:
            return "is too long"
        problem = _host(host)
        if problem:
            return problem
        shown = _decoded(host) if "xn--" in host else host
    except (library.IDNAError, UnicodeError):
        return NOT_IDNA
    for form in (f"{local}@{shown}", f"{local}@{host}"):
        if len(unicodedata.normalize("NFC", form).encode()) > 254:
            return "is too long"
    return None


def reason(address: str) -> str | None:
    """Why this is no address: "has no @"; None: it is one."""
    local, at, domain = address.partition("@")
    if not at:
        return "has no @"
    if not local:
        return "has nothing before the @"
    if not domain:
        return "has nothing after the @"
    for form in (address, f"{unicodedata.normalize('NFC', local)}@{domain}"):
        if len(form.encode("utf-8", "surrogatepass")) > 254 or len(domain) > 253:
            return "is too long"
    problem = _local(local)
    if problem:
        return problem
    if not _DOMAIN_CHARACTERS.fullmatch(domain) or _unsafe(domain):
        return NO_DOMAIN_CHARACTER
    if not domain.isascii():
        return _international(local, domain)
    if _MISPLACED.search(domain):
        return "has a misplaced dot or hyphen after the @"
    return _host(domain) or (_international(local, domain) if "xn--" in domain.lower() else None)
