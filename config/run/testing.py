"""`make test` and `test-services`: real services around pytest."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from config.run.errors import RunError
from config.run.locks import hold
from config.run.logs import say
from config.run.parts import child_argv
from config.run.paths import PROJECT, private_folder, var_folder
from config.run.prepare import prepare_files
from config.run.services import plan_for_tests, start_services
from config.run.supervisor import StartInterruptedError, Supervisor

TEST_ENVIRONMENT = {"OBSERA_TEST": "1", "DJANGO_SETTINGS_MODULE": "config.settings.test"}
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Each of pytest's processes makes a database of its own, so they do not meet; what shares a running product is a group.
WHOLE_SUITE_OPTIONS = ("--numprocesses=logical", "--maxprocesses=8", "--dist=loadgroup")
# The total alone: a table of every file buries the failures. `coverage report` shows it afterwards.
COVERAGE_OPTIONS = ("--cov", "--cov-branch", "--cov-report=")
EXIT_INTERRUPTED = 130


def suite_main(arguments: list[str]) -> int:
    """Run pytest with $ARGS; its exit status. `--coverage`, or CI=true, adds the coverage gate."""
    browser = find_browser()
    if browser is None and is_ci():
        raise RunError("no Chromium is installed, and CI skips nothing.", mend="apt-get install chromium")
    prepare_files()
    try:
        with supervisor_for_tests() as supervisor:
            environment = environment_for_tests(supervisor, browser)
            status = run_pytest(supervisor, environment, measure_coverage=is_ci() or "--coverage" in arguments)
    except StartInterruptedError:
        return EXIT_INTERRUPTED
    if browser is None:
        _announce_skipped()
    return status


def services_main(_arguments: list[str]) -> int:
    """Run the test services in the foreground; print what to export to use them."""
    try:
        with supervisor_for_tests() as supervisor:
            for name, value in environment_for_tests(supervisor, find_browser()).items():
                print(f"export {name}={shlex.quote(value)}", flush=True)
            supervisor.run()
    except StartInterruptedError:
        return EXIT_INTERRUPTED
    return 0


@contextmanager
def supervisor_for_tests() -> Iterator[Supervisor]:
    """A supervisor whose logs and data lie in `var/test`, one at a time."""
    home = private_folder(private_folder(var_folder()) / "test")
    with (
        hold(home / "tests.lock", str(os.getpid()), refuse=_refuse_second),
        Supervisor(logs=home / "log", pid_file=home / "parts.json") as supervisor,
    ):
        yield supervisor


def _refuse_second(holder: str) -> RunError:
    return RunError(
        f"the services of the tests are already used in this folder (process {holder}).",
        mend=f"wait for it, or stop it: kill {holder}\nor give the tests data of their own: OBSERA_VAR=/another/folder make test",
    )


def environment_for_tests(supervisor: Supervisor, browser: str | None) -> dict[str, str]:
    """Start the services of the tests; what pytest needs to find them."""
    chosen = {"OBSERA_CHROMIUM": browser} if browser else {}
    return {**start_services(plan_for_tests(), supervisor), **TEST_ENVIRONMENT, **chosen}


def run_pytest(supervisor: Supervisor, environment: Mapping[str, str], *, measure_coverage: bool) -> int:
    """pytest in the foreground: it keeps the terminal and gets its Ctrl-C from there.

    The whole suite runs on every processor; $ARGS chooses for itself.
    """
    chosen = shlex.split(os.environ.get("ARGS", "")) or WHOLE_SUITE_OPTIONS
    options = [*chosen, *(COVERAGE_OPTIONS if measure_coverage else ())]
    argv = (sys.executable, "-m", "pytest", *options)
    return run_in_foreground(supervisor, argv, environment)


def run_in_foreground(supervisor: Supervisor, argv: tuple[str, ...], environment: Mapping[str, str]) -> int:
    """Run a command on our terminal while the supervisor watches the services; its exit status."""
    process = subprocess.Popen(
        child_argv(argv, death_signal=signal.SIGTERM), cwd=PROJECT, env={**os.environ, **environment}
    )
    return supervisor.attend(process)


def is_ci() -> bool:
    return os.environ.get("CI", "").lower() in {"1", "true", "yes"}


def find_browser() -> str | None:
    """The Chromium for browser journeys: $OBSERA_CHROMIUM, else the first one on PATH."""
    chosen = os.environ.get("OBSERA_CHROMIUM")
    if chosen:
        return chosen
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def _announce_skipped() -> None:
    line = "!" * 78
    say(line)
    say("SKIPPED: every browser journey, because no Chromium is installed here.")
    say("To run them too: sudo apt-get install chromium && make test")
    say(line)
