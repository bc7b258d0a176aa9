"""The layouts of `ferrule.wire.net` on the twin: its source, run here.

All that it imports is relative, so that the names are those of this package.
"""

import pathlib

_source = pathlib.Path(__file__).parents[2] / "wire" / "net.py"
exec(compile(_source.read_text(encoding="utf-8"), str(_source), "exec"))
