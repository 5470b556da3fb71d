"""The agent as a process: options, signals, threads, and how it ends."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from functools import partial

from apps.checks.domain.prober import run_prober
from apps.core.http import guard
from config.agent import VERSION
from config.agent.backfill import Backfill
from config.agent.buffer import Buffer
from config.agent.connection import Connection
from config.agent.errors import AgentError, ExitCode, file_error
from config.agent.former import forget_former
from config.agent.link import Link
from config.agent.options import Options, read_options
from config.agent.orders import OrderBook
from config.agent.part import Part
from config.agent.present import Present
from config.agent.server_clock import ServerClock
from config.agent.way import WayHome, lost_way
from config.agent.work import AgentWork

logger = logging.getLogger("config.agent")

LOG_LINE = "%(asctime)s %(levelname)s %(message)s"
LOOK_EVERY_SECONDS = 0.5


def main(arguments: Sequence[str]) -> int:
    """Run an agent until a signal or the server ends it; return its exit code."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format=LOG_LINE)
    try:
        options = read_options(arguments)
        buffer = _buffer(options)
    except AgentError as error:
        sys.stderr.write(f"obsera-agent: {error}\n")
        return error.ends_with
    try:
        return _run(options, buffer)
    finally:
        buffer.close()


def _buffer(options: Options) -> Buffer:
    """Open what waits on disk: of this very agent, since its results are for its own installation alone."""
    folder = options.state_dir / str(options.token.agent_id)
    try:
        options.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        buffer = Buffer(folder, max_bytes=options.buffer_bytes)
        forget_former(options.state_dir, own=folder)
        return buffer
    except OSError as error:
        raise file_error(f"--state-dir: {error.filename or folder} cannot be used: {error.strerror}.", error) from error


def _run(options: Options, buffer: Buffer) -> ExitCode:
    _say_start(options, buffer)
    guard.judge_by(options.allowed.reason_against)
    stop, server_clock = threading.Event(), ServerClock()
    link = Link(stop, is_behind=buffer.waiting > 0)
    ca_file = options.ca_file
    present = Connection(options.server, options.token, server_clock, named_ca_file=ca_file)
    history = Connection(options.server, options.token, server_clock, named_ca_file=ca_file, stop=stop)
    # The server is the control where none is named: a failure that is seen without a way to it may be this network's own.
    look = partial(lost_way, options.server, named_ca_file=ca_file)
    way_home = WayHome(look, lambda: max(present.proven_at, history.proven_at), stop)
    desk = AgentWork(link, buffer, server_clock, OrderBook(options.kinds), limits=options.limits())
    parts = (
        Backfill(history, link, buffer, server_clock, desk),
        Present(present, link, desk),
        Probing(desk, stop, options.controls, None if options.controls else way_home.lost),
    )
    _stop_on_signals(stop)
    start_all(parts, desk, stop)
    for part in parts:
        while part.is_alive():
            part.join(LOOK_EVERY_SECONDS)  # signals are heard in between
    desk.keep_rest()
    return _ending(link, buffer, has_failed=any(part.has_failed for part in parts))


def start_all(parts: Sequence[Part], desk: AgentWork, stop: threading.Event) -> None:
    """Start every part; where the machine has no thread left for one, end those that run already."""
    for part in parts:
        try:
            part.start()
        except RuntimeError:
            logger.exception("a fault of the agent")
            part.has_failed = True
            stop.set()
            desk.close()
            return


class Probing(Part):
    """The prober's thread. Its end is everybody's end."""

    def __init__(
        self, desk: AgentWork, stop: threading.Event, controls: Sequence[str], lost_home: Callable[[], str] | None
    ) -> None:
        super().__init__("prober", stop)
        self._desk = desk
        self._controls = controls
        self._lost_home = lost_home

    def work(self) -> None:
        """Probe until told to stop."""
        try:
            run_prober(self._desk, self._stop_all, controls=self._controls, lost_home=self._lost_home)
        finally:
            self._stop_all.set()
            self._desk.close()


def _stop_on_signals(stop: threading.Event) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_signal: stop.set())


def _say_start(options: Options, buffer: Buffer) -> None:
    for warning in options.warnings:
        logger.warning("%s", warning)
    if os.geteuid() == 0:
        logger.warning("running as root, which nothing here needs; pings need CAP_NET_RAW at most")
    kinds = ", ".join(sorted(options.kinds)) or "all kinds"
    logger.info("obsera-agent %s, agent %s, for %s", VERSION, options.token.agent_id, options.server)
    logger.info("may probe %s in %s; %d results wait in %s", kinds, options.allowed, buffer.waiting, buffer.folder)
    if not options.controls:
        logger.info("no --control is named: what fails while the server cannot be reached is unknown, and no downtime")


def _ending(link: Link, buffer: Buffer, *, has_failed: bool) -> ExitCode:
    if link.refusal:
        return ExitCode.REFUSED
    if has_failed:
        return ExitCode.FAULT
    logger.info("stopped; %d results wait on disk for the next start", buffer.waiting)
    return ExitCode.STOPPED
