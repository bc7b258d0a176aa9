"""retry beside tenacity: the same calls, sleeps and ends; and tenacity's own tests through us.

`FERRULE_TENACITY_TESTS` names the folder `tests` of a checkout of tenacity, to run these as well.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ferrule.calls

tenacity = pytest.importorskip("tenacity")

HERE = Path(__file__).parent
KINDS = (ValueError, KeyError, OSError, FileNotFoundError, KeyboardInterrupt, SystemExit)
OUTCOMES = st.lists(st.one_of(st.sampled_from(KINDS), st.integers(0, 3)), min_size=1, max_size=9)
#: Waits, in our words and in tenacity's.
WAITS = st.one_of(
    st.just(({"delay": 0}, lambda: tenacity.wait_none())),
    st.builds(
        lambda w: ({"delay": w, "backoff": 1}, lambda: tenacity.wait_fixed(w)), st.floats(0, 100)
    ),
    st.builds(
        lambda m, base, top, jitter: (
            {"delay": m, "backoff": base, "max_delay": top, "jitter": jitter},
            lambda: (tenacity.wait_random_exponential if jitter else tenacity.wait_exponential)(
                multiplier=m, exp_base=base, max=top
            ),
        ),
        st.floats(0.001, 100),
        st.integers(1, 4),
        st.floats(0, 1000),
        st.booleans(),
    ),
)
#: What is repeated: our arguments, tenacity's condition.
CONDITIONS = st.sampled_from(
    [
        ({}, lambda: tenacity.retry_if_exception_type()),
        ({"on": OSError}, lambda: tenacity.retry_if_exception_type(OSError)),
        (
            {"on": (KeyError, OSError)},
            lambda: tenacity.retry_if_exception_type((KeyError, OSError)),
        ),
        (
            {"on": lambda e: "3" in str(e)},
            lambda: tenacity.retry_if_exception_message(match=".*3.*"),
        ),
        (
            {"on": lambda e: not isinstance(e, OSError)},
            lambda: tenacity.retry_if_not_exception_type((OSError, KeyboardInterrupt, SystemExit)),
        ),
        (
            {"on": (), "retry_if_result": lambda r: r > 1},
            lambda: tenacity.retry_if_result(lambda r: r > 1),
        ),
        (
            {"on": OSError, "retry_if_result": lambda r: r > 1},
            lambda: tenacity.retry_any(
                tenacity.retry_if_exception_type(OSError), tenacity.retry_if_result(lambda r: r > 1)
            ),
        ),
    ]
)


class Script:
    """A function that does what it is told, and what was seen of it."""

    def __init__(self, outcomes: list[Any]) -> None:
        self.outcomes, self.seen = list(outcomes), []  # type: ignore[var-annotated]

    def run(self, *args: Any) -> Any:
        self.seen.append(args)
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if isinstance(outcome, type):
            raise outcome(f"error {len(self.outcomes)}")
        return outcome

    async def run_async(self, *args: Any) -> Any:
        return self.run(*args)

    def sleep(self, seconds: float) -> None:
        if seconds:
            self.seen.append(seconds)

    async def sleep_async(self, seconds: float) -> None:
        self.sleep(seconds)


def drive(coroutine: Any) -> Any:
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it waits")


def end(script: Script, wrapped: Any, error_type: type[BaseException], is_async: bool) -> list[Any]:
    random.seed(5)
    try:
        with (
            mock.patch.object(time, "sleep", script.sleep),
            mock.patch.object(asyncio, "sleep", script.sleep_async),
        ):
            value = drive(wrapped(1)) if is_async else wrapped(1)
    except error_type:
        return [*script.seen, "rejected to the end"]
    except BaseException as error:
        return [*script.seen, type(error), str(error)]
    return [*script.seen, value]


@given(
    outcomes=OUTCOMES,
    attempts=st.integers(1, 7),
    waits=WAITS,
    condition=CONDITIONS,
    is_async=st.booleans(),
)
def test_as_tenacity(
    outcomes: list[Any], attempts: int, waits: Any, condition: Any, is_async: bool
) -> None:
    ours, theirs = Script(outcomes), Script(outcomes)
    run = Script.run_async if is_async else Script.run
    wrapped = ferrule.calls.retry(attempts, **waits[0], **condition[0], printer=lambda text: None)(
        run.__get__(ours)
    )
    their = tenacity.retry(
        stop=tenacity.stop_after_attempt(attempts),
        wait=waits[1](),
        retry=condition[1](),
        reraise=True,
        sleep=theirs.sleep_async if is_async else theirs.sleep,
    )(run.__get__(theirs))
    assert end(ours, wrapped, ferrule.calls.RetryError, is_async) == end(
        theirs, their, tenacity.RetryError, is_async
    )


def test_their_tests_pass_through_us() -> None:
    folder = os.environ.get("FERRULE_TENACITY_TESTS")
    if folder is None:
        pytest.skip("FERRULE_TENACITY_TESTS does not name tenacity's folder of tests")
    pytest.importorskip("typeguard")
    package = Path(ferrule.calls.__file__).parents[2]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "from_tenacity", "-p"),
            *("no:cacheprovider", "-W", "ignore", folder),
            *("--ignore", str(Path(folder, "test_tornado.py"))),
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(package), str(HERE)))},
        cwd=Path(folder).parent,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None and int(passed[1]) > 100, done.stdout[-4000:]


@pytest.mark.parametrize("reraise", [False, True])
@pytest.mark.parametrize("failures", [0, 2, 9])
def test_shim(reraise: bool, failures: int) -> None:
    """What the plugin makes of a decorated function, in a process of its own."""
    program = f"""
import from_tenacity, tenacity, ferrule.calls
from_tenacity.patch()
calls = 0

@tenacity.retry(stop=tenacity.stop_after_attempt(3), reraise={reraise})
def f():
    global calls
    calls += 1
    if calls <= {failures}:
        raise ValueError(calls)
    return "done"

try:
    print(f(), calls, f.statistics["attempt_number"])
except ValueError as error:
    print("ValueError", error, len(error.retry_history))
except tenacity.RetryError as error:
    print("RetryError", error.last_attempt.attempt_number)
"""
    package = Path(ferrule.calls.__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(package), str(HERE)))},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    last = "ValueError 3 3" if reraise else "RetryError 3"
    wanted = {0: "done 1 1", 2: "done 3 3", 9: last}
    assert done.stdout.strip() == wanted[failures]
