"""One supervised process: how it is started, how it is asked to stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

CHILD = Path(__file__).with_name("child.py")
SAME_USER = "same"


@dataclass(frozen=True)
class Part:
    """A named command; `env` is added to ours.

    `is_talkative` parts show their log on the console, the others only in their log file.
    `death_signal` is what the kernel sends when the supervisor itself is killed.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    identity: str = SAME_USER
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL
    grace_seconds: float = 10.0
    is_talkative: bool = True
    pass_fds: tuple[int, ...] = ()


def child_argv(
    argv: tuple[str, ...],
    *,
    identity: str = SAME_USER,
    death_signal: signal.Signals = signal.SIGKILL,
) -> list[str]:
    """The command wrapped so that it dies with this process and runs as the given identity."""
    wrapper = [sys.executable, "-I", "-S", str(CHILD)]
    return [*wrapper, str(os.getpid()), str(int(death_signal)), identity, *argv]


def spawn(part: Part) -> subprocess.Popen[bytes]:
    """Start the part in a session of its own, output on one pipe, no input.

    Must be called from the main thread: the kernel ties the death signal to the calling thread.
    """
    argv = child_argv(part.argv, identity=part.identity, death_signal=part.death_signal)
    return subprocess.Popen(
        argv,
        env={**os.environ, **part.env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        pass_fds=part.pass_fds,
    )


def run_tool(
    argv: tuple[str, ...], *, identity: str = SAME_USER, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a short command to its end and return its output, both streams in one."""
    return subprocess.run(
        child_argv(argv, identity=identity),
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
        start_new_session=True,
    )
