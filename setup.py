"""The C extensions; every other setting is in pyproject.toml.

Switches:
    FERRULE_BUILD    release (default), asan, cov or debug
    FERRULE_STRICT   1: the project's warnings, as errors
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

#: Area -> the folders of ext/ its extension module ferrule._<area> is built from.
AREAS = {
    "calls": ("common", "calls"),
    "compute": ("common", "compute"),
    "lifetime": ("common", "lifetime"),
    "memory": ("common", "memory"),
    "records": ("common", "records"),
    "validation": ("common", "validation"),
    "wire": ("common", "wire"),
}

#: Area -> further folders whose headers it includes.
READS = {"wire": ("records",)}

BASE = (
    *("-std=c11", "-fvisibility=hidden", "-fno-semantic-interposition", "-fno-plt"),
    *("-ffunction-sections", "-fdata-sections"),
)
#: Every room is built with all of common: what it does not use is left out again.
LEAVE_OUT = ("-Wl,--gc-sections",)
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=undefined")
#: Variant -> (compiler flags, linker flags). Free lists hide use after free from ASan; without the
#: two flags on overflow it would take CPython's own -fwrapv and let signed overflow pass.
BUILDS = {
    "release": (("-O3",), LEAVE_OUT),
    "debug": (("-O0", "-g", "-UNDEBUG", "-DFE_DEBUG"), ()),
    "cov": (("-O0", "-g", "--coverage", "-fprofile-update=atomic"), ("--coverage",)),
    "asan": (
        (
            *("-O1", "-g", "-UNDEBUG", "-DFE_NO_FREELIST", "-fno-omit-frame-pointer"),
            *("-fno-wrapv", "-fstrict-overflow"),
            *SANITIZERS,
        ),
        SANITIZERS,
    ),
}
STRICT = (
    *("-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wsign-conversion", "-Wsign-compare"),
    *("-Wshadow", "-Wstrict-prototypes", "-Wmissing-prototypes", "-Wvla", "-Wundef"),
    *("-Wpointer-arith", "-Wwrite-strings", "-Wno-unused-parameter"),
)

ROOT = Path(__file__).parent
BUILD = os.environ.get("FERRULE_BUILD", "release")
if BUILD not in BUILDS:
    raise SystemExit(f"FERRULE_BUILD: wanted one of {', '.join(BUILDS)}, got {BUILD!r}")
COMPILE, LINK = BUILDS[BUILD]
FLAGS = (*BASE, *COMPILE, *(STRICT if os.environ.get("FERRULE_STRICT") == "1" else ()))


def find(*patterns: str) -> list[str]:
    """Files below the root, relative to it, in a fixed order."""
    paths = {path for pattern in patterns for path in ROOT.glob(pattern)}
    return sorted(str(path.relative_to(ROOT)) for path in paths)


#: What other C code may include: what `ferrule.get_include()` leads to.
PUBLIC_HEADERS = ("ext/common/*.h", "ext/*/*layout*.h", "ext/*/*_capi.h")


def copy_headers(package: Path) -> list[str]:
    """Copy the public headers into `package`/include; the copies' paths."""
    target = package / "include"
    target.mkdir(parents=True, exist_ok=True)
    return [shutil.copy2(ROOT / header, target) for header in find(*PUBLIC_HEADERS)]


def extension(area: str, folders: Sequence[str]) -> Extension:
    return Extension(
        f"ferrule._{area}",
        sources=find(*(f"ext/{folder}/*.c" for folder in folders)),
        include_dirs=[f"ext/{folder}" for folder in (*folders, *READS.get(area, ()))],
        depends=[*find("ext/**/*.h"), "setup.py"],
        extra_compile_args=list(FLAGS),
        extra_link_args=list(LINK),
    )


class BuildExt(build_ext):
    """Compiles the files of an extension in parallel; rebuilds when the flags have changed."""

    def finalize_options(self) -> None:
        super().finalize_options()
        if BUILD != "release":
            self.build_temp += f"-{BUILD}"

    def run(self) -> None:
        super().run()
        if self.inplace:
            copy_headers(ROOT / "python" / "ferrule")

    def build_extensions(self) -> None:
        stamp = Path("build", "flags" + self.get_ext_filename(""))
        flags = " ".join((*FLAGS, *LINK))
        if not stamp.exists() or stamp.read_text() != flags:
            self.force = True
        compile_files = self.compiler.compile

        def compile_parallel(sources: list[str], **options: Any) -> list[str]:
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                done = pool.map(lambda source: compile_files([source], **options), sources)
                return [name for names in done for name in names]

        self.compiler.compile = compile_parallel
        super().build_extensions()
        stamp.parent.mkdir(parents=True, exist_ok=True)
        stamp.write_text(flags)


class BuildPy(build_py):
    """Adds the public headers to the package."""

    headers: list[str] = []

    def run(self) -> None:
        super().run()
        root = ROOT / "python" if self.editable_mode else Path(self.build_lib)
        self.headers = copy_headers(root / "ferrule")

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        return [*super().get_outputs(include_bytecode), *self.headers]


setup(
    ext_modules=[extension(area, folders) for area, folders in AREAS.items()],
    cmdclass={"build_ext": BuildExt, "build_py": BuildPy},
)
