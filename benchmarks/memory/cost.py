"""What freezing costs: CPU seconds, and objects. `python -m benchmarks.memory.cost BATCHES`."""

from __future__ import annotations

import gc
import json
import sys
import time

from benchmarks.memory import state as states
from ferrule.memory import freeze


def main() -> None:
    """Freeze a state, print the cost in JSON."""
    state, _ = states.build(batches=int(sys.argv[1]))
    began = time.process_time()
    gc.collect()
    collected = time.process_time()
    report = freeze(collect=False)
    ended = time.process_time()
    assert state
    print(
        json.dumps(
            {
                "collecting": collected - began,
                "seconds": ended - collected,
                "objects": report.objects,
                "immortal": report.immortal,
            }
        )
    )


if __name__ == "__main__":
    main()
