"""Random work on records from several threads, the collector running all the time.

    python tests/stress/stress_record.py [SEED] [ROUNDS]

Each thread makes, changes, compares, copies, pickles and drops records of shared classes, makes
classes of its own, and raises every kind of error. What it keeps it checks against a dict.
"""

import copy
import gc
import pickle
import random
import sys
import threading

from ferrule.records import Record, asdict, f64, i64, make_record, replace


class Shared(Record, weakref=True, order=True):
    n: i64
    x: object = None
    y: f64 = 0.0
    text: str = ""


class Frozen(Record, frozen=True, gc=False):
    n: i64
    y: f64
    text: str = ""

    def __post_init__(self) -> None:
        self.n = self.n + 1


class Dying(Record):
    n: i64
    x: object

    def __del__(self) -> None:
        if self.n % 3 == 0:
            kept.append(self)
        elif self.n % 3 == 1:
            self.x = Dying(2, None)


kept: list[Dying] = []
board = [Shared(i) for i in range(16)]
errors: list[BaseException] = []


def step(chance: random.Random, mine: dict[int, dict[str, object]], own: dict[int, Shared]) -> None:
    n = chance.randrange(64)
    action = chance.randrange(12)
    if action == 0:
        own[n] = Shared(n, [n], n / 3, str(n))
        mine[n] = {"n": n, "x": [n], "y": n / 3, "text": str(n)}
    elif action == 1 and n in own:
        own[n].y = n
        mine[n]["y"] = float(n)
    elif action == 2 and n in own:
        assert asdict(own[n]) == mine[n]
    elif action == 3 and n in own:
        assert pickle.loads(pickle.dumps(own[n])) == own[n] == copy.deepcopy(own[n])
    elif action == 4:
        own.pop(n, None)
        mine.pop(n, None)
    elif action == 5:
        chance.choice(board).x = [chance.choice(board), own.get(n)]
    elif action == 6:
        made = Frozen(n, n / 2, "t")
        assert made.n == n + 1 and replace(made, y=1.0).n == n + 2
    elif action == 7:
        for bad in (("x",), (2**64,), (n, None, "y"), (), (1, 2, 3, 4, 5)):
            try:
                Shared(*bad)
            except (TypeError, OverflowError):
                continue
            raise AssertionError(bad)
    elif action == 8 and n < 8:
        cls = make_record(
            f"Made{n}", [(f"f{i}", i64) for i in range(n)], bases=(Shared,), kw_only=True
        )
        made = cls(n=n, **{f"f{i}": i for i in range(n)})
        assert made.n == n and made == copy.copy(made)
    elif action == 9:
        Dying(n, Dying(n + 1, None))
    elif action == 10 and n == 0:
        del kept[:]
        gc.collect()
    else:
        sorted(board)
        repr(board[n % 16].text)


def work(seed: int, rounds: int) -> None:
    chance = random.Random(seed)
    mine: dict[int, dict[str, object]] = {}
    own: dict[int, Shared] = {}
    try:
        for _ in range(rounds):
            step(chance, mine, own)
    except BaseException as error:
        errors.append(error)
        raise


def main() -> int:
    seed, rounds = (int(text) for text in (*sys.argv[1:], *("1", "8000")[len(sys.argv) - 1 :]))
    gc.set_threshold(50, 2, 2)
    sys.setswitchinterval(1e-5)
    threads = [threading.Thread(target=work, args=(seed * 10 + i, rounds)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
