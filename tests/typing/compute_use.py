"""What a type checker should understand of the compute room. Checked, never run."""

from __future__ import annotations

from array import array
from typing import assert_type

from ferrule.compute import above

assert_type(above([0.1, 0.8], 0.5), list[float])
assert_type(above(["a", "b"], "a", op="ge"), list[str])
assert_type(above([0.1, 0.8], 0.5, out="mask"), list[bool])
assert_type(above((0.1, 0.8), 0.5, out="indices"), list[int])
assert_type(above(array("d", [0.1]), 0.5), array[float])
assert_type(above(array("d", [0.1]), 0.5, out="indices"), array[int])
