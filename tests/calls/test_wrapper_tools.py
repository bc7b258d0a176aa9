"""Sphinx and FastAPI, the real ones, show a wrapped function as if it were bare."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import textwrap

import pytest

CODE = '''
"""A module to document."""

from {package} import Wrapper, counted, logged, timer


@{decorator}
def plain(a: int, b: str = "x", *, c: float = 1.5) -> dict[str, int]:
    """Give the arguments back.

    :param a: the first
    """
    return {{b: a}}


@{decorator}
async def later(a: int) -> int:
    """Later."""
    return a


class Thing:
    """Has methods."""

    @{decorator}
    def method(self, x: int = 1) -> int:
        """A method."""
        return x

    @{decorator}
    async def wait(self, x: int = 1) -> int:
        """Wait."""
        return x

    @staticmethod
    @{decorator}
    def static(x: int) -> int:
        """Static."""
        return x

    @classmethod
    @{decorator}
    def of_class(cls, x: int) -> int:
        """Of the class."""
        return x
'''

#: Module -> what decorates everything in it.
DECORATORS = {
    "bare": "(lambda func: func)",
    **{name.lower(): name for name in ("Wrapper", "timer", "logged", "counted")},
}


def documented(folder, package):
    """The text that Sphinx makes of each module."""
    for name, decorator in DECORATORS.items():
        code = CODE.format(package=package, decorator=decorator)
        (folder / f"in_{name}.py").write_text(code)
        (folder / f"{name}.rst").write_text(
            f"Shown\n=====\n\n.. automodule:: in_{name}\n   :members:\n   :undoc-members:\n"
        )
    pages = "".join(f"   {name}\n" for name in DECORATORS)
    (folder / "index.rst").write_text(f"All\n===\n\n.. toctree::\n\n{pages}")
    (folder / "conf.py").write_text(
        "import sys\n"
        f"sys.path[:0] = {[str(folder), *sys.path]!r}\n"
        "extensions = ['sphinx.ext.autodoc']\n"
    )
    command = [sys.executable, "-m", "sphinx", "-b", "text", "-q", "-W", ".", "out"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    texts = {name: (folder / "out" / f"{name}.txt").read_text() for name in DECORATORS}
    return {name: text.replace(f"in_{name}", "module") for name, text in texts.items()}


@pytest.mark.slow
@pytest.mark.integration
def test_sphinx_autodoc(impl, tmp_path):
    pytest.importorskip("sphinx")
    texts = documented(tmp_path, impl.__name__)
    bare = re.sub(r"\s+", " ", texts["bare"])
    for shown in (
        "module.plain(a: int, b: str = 'x', *, c: float = 1.5) -> dict[str, int]",
        "async module.later(a: int) -> int",
        "method(x: int = 1) -> int",
        "async wait(x: int = 1) -> int",
        "static static(x: int) -> int",
        "classmethod of_class(x: int) -> int",
    ):
        assert shown in bare
    for name, text in texts.items():
        assert text == texts["bare"], name


ENDPOINTS = """
from typing import Annotated

from fastapi import Depends, FastAPI, Query
from pydantic import BaseModel

app = FastAPI()


class Item(BaseModel):
    name: str
    price: float = 1.5


@wrap
def user(token: str = "none") -> str:
    "Depended on."
    return token


@app.get("/items/{number}")
@wrap
def read(number: int, q: Annotated[str | None, Query(max_length=5)] = None) -> Item:
    "Read one."
    return Item(name=str(number), price=len(q or ""))


@app.post("/items", status_code=201)
@wrap
async def write(item: Item, who: Annotated[str, Depends(user)]) -> dict[str, str]:
    "Write one."
    return {"name": item.name, "who": who}
"""


def application(wrap):
    space = {"wrap": wrap, "__name__": "endpoints"}
    exec(textwrap.dedent(ENDPOINTS), space)
    return space


@pytest.mark.integration
@pytest.mark.parametrize("name", ["Wrapper", "timer", "logged", "counted"])
async def test_fastapi(impl, name, monkeypatch):
    pytest.importorskip("fastapi")
    httpx = pytest.importorskip("httpx")
    monkeypatch.setitem(sys.modules, "endpoints", importlib.import_module(__name__))
    bare, wrapped = application(lambda func: func), application(getattr(impl, name))
    assert wrapped["app"].openapi() == bare["app"].openapi()
    assert wrapped["app"].openapi()["paths"]["/items/{number}"]["get"]["description"] == "Read one."
    transport = httpx.ASGITransport(app=wrapped["app"])
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        assert (await client.get("/items/5?q=abc")).json() == {"name": "5", "price": 3.0}
        assert (await client.get("/items/a")).status_code == 422
        assert (await client.get("/items/5?q=abcdef")).status_code == 422
        answer = await client.post("/items?token=t", json={"name": "n"})
        assert (answer.status_code, answer.json()) == (201, {"name": "n", "who": "t"})
    if name in ("timer", "counted"):
        assert [wrapped[func].count for func in ("read", "write", "user")] == [1, 1, 1]
