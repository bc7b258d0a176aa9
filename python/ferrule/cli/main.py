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


def _seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < 1e9:
        raise argparse.ArgumentTypeError(f"wanted seconds above 0, got {text!r}")
    return number


def parser() -> argparse.ArgumentParser:
    """The argument parser of `ferrule`."""
    top = argparse.ArgumentParser(
        prog="ferrule",
        description="Compares native with pure Python, and shows what processes keep in memory.",
    )
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_compare(commands)
    _add_memory(commands)
    return top


def _add_memory(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    memory = commands.add_parser(
        "memory",
        help="show what a process and its children keep in memory",
        description="Shows private, shared, proportional and resident memory and swap of a process "
        "and of all its descendants, as the kernel counts them (/proc/PID/smaps_rollup).",
    )
    memory.add_argument("pid", type=_positive, metavar="PID", help="number of the process")
    memory.add_argument(
        "--tree",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="with all descendants (default: yes)",
    )
    memory.add_argument("--json", type=Path, metavar="FILE", help="write every sample, in bytes")
    memory.add_argument("--html", type=Path, metavar="FILE", help="write one page with plots")
    memory.add_argument(
        "--watch", type=_seconds, metavar="SECONDS", help="look again after so many seconds"
    )
    memory.add_argument(
        "--count",
        type=_positive,
        metavar="N",
        help="with --watch: look N times (default: until the process ends, or Ctrl-C)",
    )
    memory.set_defaults(run=_memory)


def _add_compare(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    compare = commands.add_parser(
        "compare",
        help="compare native with pure Python on real readings",
        description="Loads readings into native and pure-Python objects, checks that every result "
        "is equal, then reports time and memory. Without --input the readings are the weekly CO2 "
        "measurements of Mauna Loa, 1958 to 2001, which come with the package.",
    )
    compare.add_argument("rooms", nargs="*", metavar="ROOM", help=f"rooms: {', '.join(ROOMS)}")
    compare.add_argument(
        "--input",
        type=Path,
        metavar="FILE",
        help="readings: CSV or JSON lines, or a capture, see below",
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
        "says otherwise). JSON lines are one object a line with these keys. The unit may be "
        "absent. Of a capture (pcap, pcapng) the readings are the lengths of its frames; the room "
        "wire also decodes these."
    )
    compare.set_defaults(run=_compare)


def _chosen(rooms: Sequence[str]) -> list[str]:
    unknown = [room for room in rooms if room not in ROOMS]
    if unknown:
        raise SystemExit(_fail(f"unknown room {unknown[0]!r}; the rooms are: {', '.join(ROOMS)}"))
    return list(dict.fromkeys(rooms)) or list(ROOMS)


def _fail(message: str, status: int = 2) -> int:
    print(f"ferrule: {message}", file=sys.stderr)
    return status


def _compare(options: argparse.Namespace) -> int:
    rooms = _chosen(options.rooms)
    rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
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
    return status


def _memory(options: argparse.Namespace) -> int:
    if options.count is not None and options.watch is None:
        return _fail("--count needs --watch")
    require("rich", "cli")
    if options.html is not None:
        require("matplotlib", "compare")
    memory = importlib.import_module("ferrule.cli.memory")
    status: int = memory.run(
        options.pid,
        tree=options.tree,
        watch=options.watch,
        count=options.count,
        json_file=options.json,
        html_file=options.html,
    )
    return status


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; gives the exit status (0 done, 1 results differ, 2 cannot run)."""
    options = parser().parse_args(arguments)
    try:
        status: int = options.run(options)
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
