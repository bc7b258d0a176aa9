"""Programs that freeze, each in a process of its own: freezing cannot be taken back."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import ferrule

#: Where this process has ferrule from.
FERRULE = Path(ferrule.__file__).parents[1]
#: Whether this Python can make objects immortal.
IMMORTAL = (
    (3, 12) <= sys.version_info < (3, 14)
    and getattr(sys, "_is_gil_enabled", lambda: True)()
    and not hasattr(sys, "gettotalrefcount")
)

PRELUDE = """
import gc, os, sys, weakref
import ferrule.memory
from ferrule.memory import drift, freeze, unfreeze

IMMORTAL = sys.version_info >= (3, 12) and not hasattr(sys, "gettotalrefcount")
FOREVER = 2**32 - 1

class Box:
    pass

def immortal(thing):
    return sys.getrefcount(thing) >= 2**31

def text_of(path):
    with open(path) as f:
        return f.read()

def forked(function):
    # what the function prints in a child; its exit code must be 0
    r, w = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        os.close(r)
        try:
            os.write(w, repr(function()).encode())
            os._exit(0)
        finally:
            os._exit(1)
    os.close(w)
    with open(r) as f:
        text = f.read()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, text
    return eval(text)
"""


def run(code: str, *flags: str, timeout: float = 120) -> str:
    """Run `code`, which must end well and without a word on stderr; what it printed."""
    done = subprocess.run(
        [
            *(sys.executable, "-X", "faulthandler", "-W", "error", *flags),
            *("-c", PRELUDE + textwrap.dedent(code)),
        ],
        env={**os.environ, "PYTHONPATH": str(FERRULE)},
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    return done.stdout
