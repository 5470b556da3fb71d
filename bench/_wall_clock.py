"""A wall clock that a benchmark may set for a product it runs, while the machine's own stays what it is."""

from __future__ import annotations

import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SOURCE = Path(__file__).with_name("_wall_clock.c")


class WallClock:
    """``environment`` is for the programs that shall go by it."""

    def __init__(self, folder: Path) -> None:
        self._file, library = folder / "moved", folder / "wall_clock.so"
        compiler = shutil.which("cc")
        if not compiler:
            raise SystemExit("the clock is a small library in C: apt-get install gcc libc6-dev")
        self._file.write_bytes(bytes(8))
        subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", library, SOURCE, "-ldl", "-lpthread"], check=True)
        self.environment = {"LD_PRELOAD": str(library), "OBSERA_WALL_CLOCK": str(self._file)}

    def set_apart(self, seconds: int) -> None:
        """Show another time than the machine, by so many seconds, from now on."""
        with self._file.open("r+b") as file:
            file.write(struct.pack("=q", seconds))


@contextmanager
def wall_clock() -> Iterator[WallClock]:
    """Yield a clock that shows the machine's time."""
    with tempfile.TemporaryDirectory(prefix="obsera-clock-") as folder:
        Path(folder).chmod(0o755)  # PostgreSQL may run as another user
        yield WallClock(Path(folder))
