"""An extension module exports its init function and nothing else."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

#: Symbols that the compiler's own instrumentation adds.
INSTRUMENTS = re.compile(r"__(?:asan|odr_asan|ubsan|sanitizer|gcov|llvm)|mangle_path")


def extension_files() -> list[Path]:
    spec = importlib.util.find_spec("ferrule")
    assert spec is not None and spec.submodule_search_locations
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    return [
        path
        for folder in spec.submodule_search_locations
        for path in sorted(Path(folder).glob(f"*{suffix}"))
    ]


def test_there_are_extension_modules() -> None:
    assert extension_files()


@pytest.mark.parametrize("path", extension_files(), ids=lambda path: path.name.partition(".")[0])
def test_only_init_is_exported(path: Path) -> None:
    nm = shutil.which("nm")
    if nm is None:
        pytest.skip("nm is not installed")
    listing = subprocess.run(
        [nm, "--dynamic", "--defined-only", "--format=posix", path],
        capture_output=True,
        text=True,
        check=True,
    )
    names = [line.split()[0] for line in listing.stdout.splitlines()]
    names = [name for name in names if not INSTRUMENTS.match(name)]
    assert names == [f"PyInit_{path.name.partition('.')[0]}"]
