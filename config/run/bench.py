"""`make bench-NAME`: one benchmark of bench/, in the product's own environment."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys

from config.run.errors import RunError
from config.run.paths import PROJECT


def main(arguments: list[str]) -> int:
    """Run `bench/NAME.py $ARGS`; dashes in the name may stand for underscores."""
    wanted = (arguments or [""])[0].replace("-", "_")
    known = sorted(path.stem for path in (PROJECT / "bench").glob("*.py") if not path.stem.startswith("_"))
    if wanted not in known:
        raise RunError(
            f'there is no benchmark "{wanted}".', mend="\n".join(f"make bench-{n.replace('_', '-')}" for n in known)
        )
    argv = [sys.executable, "-m", f"bench.{wanted}", *shlex.split(os.environ.get("ARGS", ""))]
    return subprocess.run(argv, cwd=PROJECT, check=False).returncode
