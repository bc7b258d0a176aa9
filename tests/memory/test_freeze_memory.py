"""What a forked child has to itself when it has read what the parent froze."""

from __future__ import annotations

import json
import sys

import pytest

from memory.frozen import IMMORTAL, run

pytestmark = pytest.mark.resident

#: About 16 MB: dicts, lists, strings, numbers, instances with and without slots.
STATE = """
import json, re
class Plain:
    def __init__(self, i):
        self.id, self.name, self.tags = i, f"name {i}", [f"tag {i % 7}", i + 1000]
class Slots:
    __slots__ = ("id", "price")
    def __init__(self, i): self.id, self.price = i, i * 1.5
data = {f"key {i}": {"id": i, "texts": [f"t {i}", f"u {i}"], "pair": (i, f"p {i}"),
    "inner": {"a": i + 0.5, "b": [i, None, True]}} for i in range(15_000)}
plain = [Plain(i) for i in range(15_000)]
slots = [Slots(i) for i in range(15_000)]
names = {x.name: x for x in plain}
def read():
    total = 0
    for key, value in data.items():
        total += value["id"] + len(value["texts"][1]) + value["pair"][0] + len(key)
        for inner in value["inner"].values(): total += inner is not None
        for text in value["texts"]: total += text in names
    for x in plain: total += x.id + len(x.tags) + len(x.name) + len(x.tags[0])
    for x in slots: total += x.id + int(x.price)
    return total
def private():
    return int(re.search(r"Private_Dirty: +(\\d+)", text_of("/proc/self/smaps_rollup"))[1]) / 1024
def child(work):
    def inside():
        private()
        before = private()
        work()
        return [before, private()]
    return forked(inside)
"""


def measure(code: str) -> dict[str, list[float]]:
    """MB: private before and after, by what the child did."""
    out = run(STATE + code)
    found: dict[str, list[float]] = json.loads(out)
    return found


@pytest.mark.skipif(not IMMORTAL, reason="nothing is made immortal here")
def test_reading_is_shared() -> None:
    mb = measure("""
plain_fork = child(read)
freeze(warm=read)
def garbage():
    for i in range(50_000):
        x = Box(); x.x = x
print(json.dumps({"plain": plain_fork, "read": child(read), "gc": child(gc.collect),
    "unfreeze": child(lambda: (unfreeze(), read())), "garbage": child(garbage)}))
""")
    assert mb["plain"][1] > 12
    assert mb["read"][1] < 1.5
    assert mb["gc"][1] - mb["gc"][0] <= 0.1
    assert mb["unfreeze"][1] < 1.5
    assert mb["garbage"][1] < 3


@pytest.mark.skipif(IMMORTAL or sys.version_info >= (3, 12), reason="the control: 3.11")
def test_nothing_is_gained_without_immortal_objects() -> None:
    """Collections are shared, reading is not; and the report says so."""
    mb = measure("""
report = freeze(warm=read)
assert report.immortal == 0 and any("immortal" in text for text in report.skipped)
print(json.dumps({"read": child(read), "gc": child(gc.collect)}))
""")
    assert mb["read"][1] > 12
    assert mb["gc"][1] - mb["gc"][0] <= 0.5


@pytest.mark.skipif(not IMMORTAL, reason="nothing is made immortal here")
def test_freezing_in_the_child_is_too_late_but_harmless() -> None:
    mb = measure("""
freeze(warm=read)
new = [Plain(i) for i in range(1000)]
print(json.dumps({"again": child(lambda: (freeze(), read()))}))
""")
    assert mb["again"][1] < 4


@pytest.mark.skipif(not IMMORTAL, reason="nothing is made immortal here")
def test_ending_copies_little() -> None:
    """A worker that ends by sys.exit: faults, each of which is a page copied or mapped."""
    faults = measure("""
def ending():
    pid = os.fork()
    if pid == 0: sys.exit()
    return os.wait4(pid, 0)[2].ru_minflt
before = ending()
freeze()
print(json.dumps({"pages": [before, ending()]}))
""")["pages"]
    assert faults[1] < faults[0] / 2
