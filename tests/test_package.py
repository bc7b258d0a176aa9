"""What the source distribution and the wheel contain, and what they do not."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import source
from source import ROOT

source.need_tree()

pytestmark = pytest.mark.slow


def build(kind: str, target: Path, tree: Path) -> Path:
    """Build "sdist" or "wheel" from `tree` into `target`, with what is installed here."""
    for module in ("build", "setuptools"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    # what is in the package does not depend on how fast the code in it is
    environment = {**os.environ, "FERRULE_BUILD": "debug"}
    done = subprocess.run(
        [sys.executable, "-m", "build", f"--{kind}", "--no-isolation", "--outdir", target, tree],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    (path,) = target.glob("*.tar.gz" if kind == "sdist" else "*.whl")
    return path


def tracked(*patterns: str) -> set[str]:
    paths = {path for pattern in patterns for path in ROOT.glob(pattern)}
    return {str(path.relative_to(ROOT)) for path in paths if "include" not in path.parts}


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The unpacked source distribution."""
    folder = tmp_path_factory.mktemp("sdist")
    archive = build("sdist", folder, ROOT)
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    (tree,) = (path for path in folder.iterdir() if path.is_dir())
    yield tree


def test_sdist_is_complete(sdist: Path) -> None:
    names = {str(path.relative_to(sdist)) for path in sdist.rglob("*") if path.is_file()}
    wanted = tracked("ext/**/*.[ch]", "ext/**/*.md", "python/**/*.py*", "tests/**/*.py", "*.md")
    wanted |= {"setup.py", "pyproject.toml", "LICENSE", "python/ferrule/py.typed"}
    assert {name for name in wanted if not name.endswith(".pyc")} - names == set()
    assert {name for name in names if name.endswith((".so", ".o", ".pyc"))} == set()


def test_wheel_is_complete_and_has_no_tests(sdist: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(build("wheel", tmp_path, sdist)) as wheel:
        names = wheel.namelist()
    package = {name for name in names if ".dist-info/" not in name}
    wanted = tracked(
        "python/ferrule/**/*.py", "python/ferrule/**/*.pyi", "python/ferrule/cli/data/*"
    )
    wanted = {name.removeprefix("python/") for name in wanted}
    headers = tracked("ext/common/*.h", "ext/*/*layout*.h", "ext/*/*_capi.h")
    wanted |= {f"ferrule/include/{Path(name).name}" for name in headers}
    extra = {name for name in package - wanted if not name.endswith(".so")}
    assert wanted - package == set()
    assert extra == {"ferrule/py.typed"}
    modules = sorted(Path(name).name.partition(".")[0] for name in package if name.endswith(".so"))
    assert modules == [f"_{room}" for room in source.rooms()]
