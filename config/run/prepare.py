"""Files made from other files before anything starts: browser files and compiled translations."""

from __future__ import annotations

from pathlib import Path

import polib

from config import frontend
from config.run.errors import RunError
from config.run.paths import PROJECT


def main(_arguments: list[str]) -> int:
    """`make setup`."""
    prepare_files()
    print("Everything is set up. Start with: make run")
    return 0


def prepare_files() -> None:
    """Fill static/vendor and compile locale/; safe to repeat, and quick when nothing changed."""
    try:
        frontend.build()
    except frontend.FrontendError as error:
        raise RunError(str(error), mend="rm -rf node_modules && make run") from error
    compile_translations(PROJECT / "locale")


def compile_translations(locale: Path) -> int:
    """Write a .mo beside each .po that is newer; how many were written."""
    stale = [source for source in sorted(locale.rglob("*.po")) if _is_stale(source)]
    for source in stale:
        polib.pofile(str(source)).save_as_mofile(str(source.with_suffix(".mo")))
    return len(stale)


def _is_stale(source: Path) -> bool:
    compiled = source.with_suffix(".mo")
    return not compiled.exists() or compiled.stat().st_mtime < source.stat().st_mtime
