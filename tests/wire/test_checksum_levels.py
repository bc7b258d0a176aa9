"""Checksums with the instructions of each level: FERRULE_CPU forces it in a process of its own."""

from __future__ import annotations

import functools
import json
import os
import random
import shlex
import shutil
import subprocess
import sys
import sysconfig
import zlib
from pathlib import Path

import pytest

import source
from ferrule.pure import wire as twin

LEVELS = ("portable", "sse2", "avx2", "avx512")

#: Lengths around those from which on more is done at once; every one up to 600 is among them.
LENGTHS = [*range(601), 1023, 1024, 3071, 3072, 3073, 4096, 65535, 65536, 100_003]
ALIGNMENTS = range(8)

#: Prints the sums of pieces of the bytes given in a file: of each length at an alignment that
#: changes with it, from nothing and from a value.
CHILD = """
import json, sys
from ferrule.wire import crc32, crc32c, internet_checksum

lengths, seeds = json.loads(sys.argv[1])
memory = memoryview(open(sys.argv[2], "rb").read())
found = []
for length, seed in zip(lengths, seeds):
    for at in range(8) if length <= 64 else (seed % 64, 0):
        piece = memory[at : at + length]
        found.append([
            crc32(piece), crc32(piece, seed), crc32c(piece), crc32c(piece, seed),
            internet_checksum(piece), internet_checksum(piece, seed & 65535),
        ])
json.dump(found, sys.stdout)
"""


@functools.cache
def pieces() -> tuple[bytes, list[int]]:
    chance = random.Random(1)
    return chance.randbytes(max(LENGTHS) + 64), [chance.getrandbits(32) for _ in LENGTHS]


@functools.cache
def wanted() -> list[list[int]]:
    data, seeds = pieces()
    found = []
    for length, seed in zip(LENGTHS, seeds, strict=True):
        for at in ALIGNMENTS if length <= 64 else (seed % 64, 0):
            piece = data[at : at + length]
            found.append([
                zlib.crc32(piece), zlib.crc32(piece, seed),
                twin.crc32c(piece), twin.crc32c(piece, seed),
                twin.internet_checksum(piece), twin.internet_checksum(piece, seed & 65535),
            ])  # fmt: skip
    return found


def run(level: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", CHILD, *arguments],
        env={**os.environ, "FERRULE_CPU": level},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize("level", LEVELS)
def test_every_length(level: str, tmp_path: Path) -> None:
    data, seeds = pieces()
    path = tmp_path / "data"
    path.write_bytes(data)
    done = run(level, json.dumps([LENGTHS, seeds]), str(path))
    if f"this processor has no {level}" in done.stderr:
        pytest.skip(f"this processor has no {level}")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == wanted()


#: What libFuzzer does, less its cleverness.
MAIN = """
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
main(int argc, char **argv)
{
    static uint8_t input[1100];
    uint64_t state = 88172645463325252u;
    LLVMFuzzerInitialize(&argc, &argv);
    for (int i = 0; i < 20000; i++) {
        for (size_t at = 0; at < sizeof(input); at++) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            input[at] = (uint8_t)(state >> 32);
        }
        size_t size = i % 2 ? sizeof(input) : 200;
        LLVMFuzzerTestOneInput(input, (size_t)(state % size));
    }
    return 0;
}
"""


def test_many_messages(tmp_path: Path) -> None:
    """The functions that streams of records use, which Python cannot call: the fuzzer's driver."""
    source.need_tree()
    compiler = shlex.split(sysconfig.get_config_var("CC") or "cc")
    if shutil.which(compiler[0]) is None:
        pytest.skip("there is no C compiler")
    (tmp_path / "main.c").write_text(MAIN)
    wire = source.ROOT / "ext" / "wire"
    program = str(tmp_path / "driver")
    files = [tmp_path / "main.c", source.ROOT / "tests/fuzz/fuzz_checksum.c"]
    files += sorted(wire.glob("checksum*_core.c"))
    # without LTO and what else Python itself was built with
    subprocess.run(
        [compiler[0], "-std=c11", "-O2", f"-I{wire}", *map(str, files), "-o", program], check=True
    )
    assert subprocess.run([program], timeout=300).returncode == 0
