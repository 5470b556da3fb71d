"""Running probes in a test."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from apps.checks.engine.job import ProbeJob
from apps.checks.engine.loop import ProbeLoop
from apps.checks.engine.resolver import Lookup, system_lookup
from apps.checks.types.base import Outcome
from apps.checks.types.http import HttpConfig

PATIENCE = 60.0  # what a busy machine may take for what takes a moment


async def until(is_so: Callable[[], bool]) -> None:
    """Wait until ``is_so``."""
    async with asyncio.timeout(PATIENCE):
        while not is_so():
            await asyncio.sleep(0.01)


@contextmanager
def probe_loop(on_outcome: Any, *, lookup: Lookup = system_lookup, max_in_flight: int = 100) -> Any:
    loop = ProbeLoop(on_outcome, max_in_flight=max_in_flight, lookup=lookup)
    try:
        yield loop
    finally:
        loop.close()


async def probe_all(
    jobs: Iterable[ProbeJob], *, lookup: Lookup = system_lookup, max_in_flight: int = 100
) -> dict[Any, Outcome]:
    """Run all jobs and return their outcomes by token."""
    outcomes: dict[Any, Outcome] = {}

    def keep(token: Any, outcome: Outcome, _started_at: datetime) -> None:
        assert token not in outcomes
        outcomes[token] = outcome

    with probe_loop(keep, lookup=lookup, max_in_flight=max_in_flight) as loop:
        for job in jobs:
            loop.submit(job)
        async with asyncio.timeout(2 * PATIENCE):
            while loop.in_flight:
                await asyncio.sleep(0.005)
    return outcomes


def job(token: Any, url: str, *, timeout: float = PATIENCE, allow_private: bool = True, **config: Any) -> ProbeJob:
    return ProbeJob(token, "http", HttpConfig(url=url, **config), timeout, allow_private)


async def probe(
    url: str, *, timeout: float = PATIENCE, allow_private: bool = True, lookup: Lookup = system_lookup, **config: Any
) -> Outcome:
    """Probe one URL once."""
    outcomes = await probe_all([job("one", url, timeout=timeout, allow_private=allow_private, **config)], lookup=lookup)
    return outcomes["one"]
