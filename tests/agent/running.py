"""The agent as people run it: a process of its own."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.agent.stand_in import await_true

AGENT = Path(__file__).resolve().parents[2] / "bin" / "obsera-agent"


@dataclass
class RunningAgent:
    """Its process and its log."""

    folder: Path
    server: str
    token: str
    options: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        return (self.folder / "agent.log").read_text()

    def start(self) -> None:
        path = self.folder / "token"
        path.write_text(self.token)
        path.chmod(0o600)
        command = [AGENT, "--server", self.server, "--token-file", path, "--state-dir", self.folder / "state"]
        with (self.folder / "agent.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *self.options],
                stdout=log,
                stderr=log,
                env={"PATH": os.environ["PATH"], "HOME": str(self.folder), **self.environment},
            )

    def await_log(self, text: str, *, seconds: float = 180.0, times: int = 1) -> None:
        try:
            await_true(lambda: self.log.count(text) >= times or not self.is_running, seconds=seconds)
        except AssertionError as error:
            raise AssertionError(f"the log does not say “{text}”:\n{self.log}") from error
        assert self.log.count(text) >= times, self.log

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return how the process ended."""
        assert self.process is not None
        if self.is_running:
            self.process.send_signal(number)
        return self.process.wait(timeout=180)


@contextmanager
def running_agent(
    folder: Path, server: str, token: object, *options: str, **environment: str
) -> Iterator[RunningAgent]:
    """Run an agent that may probe loopback, until the block ends."""
    agent = RunningAgent(folder, server, str(token), ("--allow", "127.0.0.1", *options), environment)
    agent.start()
    try:
        yield agent
    finally:
        agent.end(signal.SIGKILL)
