"""Command line of ferrule: parses the arguments and hands them to the command."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from ferrule.cli.load import DEFAULT_LIMIT, InputError
from ferrule.cli.registry import ROOMS

#: Measured rounds without and with --quick.
ROUNDS = 31
QUICK_ROUNDS = 9


class MissingExtra(Exception):
    """A library that only an extra installs is needed and not there."""

    def __init__(self, module: str, extra: str) -> None:
        super().__init__(f'{module} is not installed: pip install "ferrule[{extra}]"')


def require(module: str, extra: str) -> None:
    """Raise `MissingExtra` unless `module` can be imported."""
    try:
        importlib.import_module(module)
    except ImportError as error:
        if error.name is not None and error.name.partition(".")[0] != module.partition(".")[0]:
            raise
        raise MissingExtra(module, extra) from error


def _positive(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"wanted a whole number above 0, got {text!r}")
    return number


def parser() -> argparse.ArgumentParser:
    """The argument parser of `ferrule`."""
    top = argparse.ArgumentParser(
        prog="ferrule", description="Compact typed records for Python, written in C."
    )
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    compare = commands.add_parser(
        "compare",
        help="compare native with pure Python on real readings",
        description="Loads readings into native and pure-Python objects, checks that every result "
        "is equal, then reports time and memory. Without --input the readings are the weekly CO2 "
        "measurements of Mauna Loa, 1958 to 2001, which come with the package.",
    )
    compare.add_argument("rooms", nargs="*", metavar="ROOM", help=f"rooms: {', '.join(ROOMS)}")
    compare.add_argument(
        "--input", type=Path, metavar="FILE", help="readings: CSV or JSON lines, see below"
    )
    compare.add_argument(
        "--limit",
        type=_positive,
        default=DEFAULT_LIMIT,
        metavar="ROWS",
        help="read at most this many readings (default %(default)s)",
    )
    compare.add_argument(
        "--peers", action="store_true", help="measure the installed libraries for the same job too"
    )
    compare.add_argument("--json", type=Path, metavar="FILE", help="write every measured round")
    compare.add_argument("--html", type=Path, metavar="FILE", help="write one page with plots")
    compare.add_argument(
        "--rounds", type=_positive, metavar="N", help=f"measured rounds (default {ROUNDS})"
    )
    compare.add_argument(
        "--quick",
        action="store_true",
        help=f"{QUICK_ROUNDS} shorter rounds and 100,000 instances instead of a million",
    )
    compare.epilog = (
        "A CSV file has a header naming timestamp (or time, date), value and unit, or has these "
        "columns in this order. Times are whole Unix seconds or ISO dates (UTC unless the date "
        "says otherwise). JSON lines are one object a line with these keys. The unit may be absent."
    )
    return top


def _chosen(rooms: Sequence[str]) -> list[str]:
    unknown = [room for room in rooms if room not in ROOMS]
    if unknown:
        raise SystemExit(_fail(f"unknown room {unknown[0]!r}; the rooms are: {', '.join(ROOMS)}"))
    return list(dict.fromkeys(rooms)) or list(ROOMS)


def _fail(message: str, status: int = 2) -> int:
    print(f"ferrule: {message}", file=sys.stderr)
    return status


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; gives the exit status (0 done, 1 results differ, 2 cannot run)."""
    options = parser().parse_args(arguments)
    rooms = _chosen(options.rooms)
    rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
    try:
        require("rich", "compare")
        if options.html is not None:
            require("matplotlib", "compare")
        compare = importlib.import_module("ferrule.cli.compare")
        status: int = compare.run(
            rooms,
            input_file=options.input,
            limit=options.limit,
            peers=options.peers,
            json_file=options.json,
            html_file=options.html,
            rounds=rounds,
            quick=options.quick,
        )
    except (MissingExtra, InputError) as error:
        return _fail(str(error))
    except ImportError as error:
        return _fail(f"cannot import {error.name or 'a part of ferrule'}: {error}")
    except BrokenPipeError:
        return 1
    except OSError as error:
        return _fail(f"{error.filename or 'input/output'}: {error.strerror or error}")
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    return status
