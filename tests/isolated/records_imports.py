"""What an import brings in: records without dataclasses, the twin without anything native."""

import subprocess
import sys

CASES = {
    "from ferrule.records import Record, f64, i64": ["dataclasses", "inspect", "ferrule.pure"],
    "import ferrule": ["ferrule.records", "ferrule._records", "ferrule.pure"],
    "import ferrule.pure.records": ["ferrule.records", "ferrule._records"],
}

for statement, absent in CASES.items():
    program = f"{statement}; import sys; print(*(n for n in {absent!r} if n in sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "", f"{statement} also imports {done.stdout}"
