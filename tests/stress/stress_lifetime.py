"""Finalizers and weak dictionaries in several threads, the collector running all the time.

    python tests/stress/stress_lifetime.py [SEED] [ROUNDS]

Every clean-up notes its number; in the end each must have been noted exactly once. Objects die by
reference count, in cycles, by other clean-ups, while they are iterated over, and at exit.
"""

import atexit
import gc
import itertools
import os
import random
import sys
import threading

from ferrule.lifetime import Finalizable, WeakValueDictionary, finalize

numbers = itertools.count()
ran: list[int] = []
cancelled: list[int] = []
errors: list[BaseException] = []
shared: WeakValueDictionary[int, "Thing"] = WeakValueDictionary()
board: list[object] = [None] * 64


class Thing:
    def __init__(self) -> None:
        self.other: object = None


class Own(Finalizable):
    def __init__(self) -> None:
        self.number = next(numbers)
        self.other: object = None

    def __finalize__(self) -> None:
        ran.append(self.number)
        board[self.number % len(board)] = None


def note(number: int, *more: object) -> None:
    ran.append(number)
    if number % 7 == 0:
        expect(Thing())
    if number % 11 == 0:
        gc.collect(0)
    if number % 13 == 0:
        list(shared.items())


def expect(thing: object, *arguments: object) -> tuple[finalize, int]:
    number = next(numbers)
    return finalize(thing, note, number, *arguments), number


def step(chance: random.Random, kept: list[object]) -> None:
    n = chance.randrange(64)
    action = chance.randrange(10)
    if action < 3:
        thing = Thing()
        expect(thing, [n])
        thing.other = thing if n % 2 else chance.choice(board)
        shared[n] = thing
        board[n] = thing
    elif action == 3:
        kept.append(Own())
        kept[-1].other = kept  # type: ignore[attr-defined]
    elif action == 4:
        board[n] = None
    elif action == 5:
        del kept[: n % 8]
    elif action == 6:
        for key, value in shared.items():
            assert isinstance(value, Thing), value
            if key == n:
                shared.pop(key, None)
    elif action == 7:
        found = shared.setdefault(n, Thing())
        assert isinstance(found, Thing)
    elif action == 8:
        thing = Thing()
        ended, number = expect(thing)
        if ended.detach() is not None:
            cancelled.append(number)
    else:
        len(shared.copy())


def work(seed: int, rounds: int) -> None:
    chance = random.Random(seed)
    kept: list[object] = []
    try:
        for _ in range(rounds):
            step(chance, kept)
    except BaseException as error:
        errors.append(error)
        raise


def check() -> None:
    """After all clean-ups: atexit was told of this before the first of them."""
    total = next(numbers)
    if errors or sorted(ran + cancelled) != list(range(total)):
        lost = set(range(total)) - set(ran) - set(cancelled)
        print(f"{errors=}; lost {sorted(lost)[:20]}; {len(ran)} ran of {total}", file=sys.stderr)
        sys.stderr.flush()
        os._exit(1)


def main() -> None:
    seed, rounds = (int(text) for text in (*sys.argv[1:], *("1", "8000")[len(sys.argv) - 1 :]))
    atexit.register(check)
    gc.set_threshold(50, 2, 2)
    sys.setswitchinterval(1e-5)
    threads = [threading.Thread(target=work, args=(seed * 10 + i, rounds)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
