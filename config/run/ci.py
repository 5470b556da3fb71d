"""`make ci` and its single checks: each one a command with a name, all run even when one fails."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterable

from config.run import translations
from config.run.errors import RunError
from config.run.paths import PROJECT
from config.run.testing import suite_main

Check = Callable[[], int]


def _python(*arguments: str) -> Check:
    def run() -> int:
        return subprocess.run([sys.executable, *arguments], cwd=PROJECT, check=False).returncode

    return run


# `makemigrations` looks at the migration history of a database that is not there, and warns.
_QUIET = "ignore:Got an error checking a consistent migration history:RuntimeWarning"

CHECKS: dict[str, Check] = {
    "lint": _python("-m", "ruff", "check", "."),
    "format": _python("-m", "ruff", "format", "--check", "."),
    "types": _python("-m", "mypy"),
    "imports": _python("-c", "from importlinter.cli import lint_imports_command as run; run(['--no-logo'])"),
    "migrations": _python("-W", _QUIET, "manage.py", "makemigrations", "--check", "--dry-run"),
    "translations": translations.check,
}
REWRITES: dict[str, Check] = {
    "reformat": _python("-m", "ruff", "format", "."),
    "refix": _python("-m", "ruff", "check", "--fix", "--exit-zero", "--quiet", "."),
}


def main(arguments: list[str]) -> int:
    """Every check, tests last; `--without-tests` when the tests have just run."""
    checks = dict(CHECKS)
    if "--without-tests" not in arguments:
        checks["tests"] = lambda: suite_main(["--coverage"])
    return run_checks(checks.items())


def one_main(names: list[str]) -> int:
    """The named checks alone."""
    known = {**CHECKS, **REWRITES}
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise RunError(f"there is no check {unknown or ''}; there are: {', '.join(known)}.")
    return run_checks((name, known[name]) for name in names)


def run_checks(checks: Iterable[tuple[str, Check]]) -> int:
    """Run all, then say which failed; 0 when none did."""
    lines, failed = [], 0
    for name, check in checks:
        print(f"── {name} {'─' * (74 - len(name))}", flush=True)
        started = time.monotonic()
        try:
            status = check()
        except RunError as error:
            print(error)
            status = 1
        failed += status != 0
        lines.append(f"{'ok    ' if status == 0 else 'FAILED'}  {name:<14}{time.monotonic() - started:6.1f} s")
    print("─" * 78, *lines, sep="\n", flush=True)
    return 1 if failed else 0
