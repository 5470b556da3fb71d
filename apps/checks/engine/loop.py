"""Probes on one event loop: any number submitted, so many at once, each reported when it ends."""

import asyncio
import logging
import resource
from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Any

from apps.checks.engine.browser import LoopBrowser
from apps.checks.engine.driver import CurlDriver
from apps.checks.engine.job import ProbeJob
from apps.checks.engine.network import LoopNetwork
from apps.checks.engine.plain import PlainDriver
from apps.checks.engine.resolver import HostResolver, system_lookup
from apps.checks.engine.transport import LoopTransport
from apps.checks.engine.witnesses import Lookup
from apps.checks.enums import Verdict
from apps.checks.types.base import Outcome, ProbeContext
from apps.checks.types.hiding import make_presentable
from apps.checks.types.registry import CHECK_TYPES
from apps.core import clock
from apps.core.http.bodies import BodyRoom
from apps.core.http.curl import MEBIBYTE

logger = logging.getLogger(__name__)

MAX_IN_FLIGHT = 2_000
MAX_BODIES = 128 * MEBIBYTE  # of the answers under way, together
SPARE_DESCRIPTORS = 256  # for the database, Redis and libraries
DESCRIPTORS_PER_PROBE = 2  # a second connection races the first where a name has IPv4 and IPv6 addresses

OnOutcome = Callable[[Any, Outcome, datetime], None]


class ProbeLoop:
    """Runs probes on the running event loop. Everything is called from the loop's own thread.

    ``on_outcome(token, outcome, started_at)`` is called as each probe ends and must be quick. Beyond ``max_in_flight``
    jobs wait in line; hanging targets hold their place only as long as their own timeout. With ``has_browser`` it runs
    browser journeys too.
    """

    def __init__(
        self,
        on_outcome: OnOutcome,
        *,
        max_in_flight: int = MAX_IN_FLIGHT,
        lookup: Lookup = system_lookup,
        has_browser: bool = False,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_outcome = on_outcome
        self._max_in_flight = min(max_in_flight, _descriptor_room())
        bodies = BodyRoom(MAX_BODIES)
        self._driver = CurlDriver(bodies)
        self._resolver = HostResolver(lookup)
        self._plain = PlainDriver(bodies)
        self._http = LoopTransport(self._driver, self._plain, self._resolver)
        self._browser = LoopBrowser() if has_browser else None
        self._waiting: deque[ProbeJob] = deque()
        self._running: set[asyncio.Task[None]] = set()

    @property
    def in_flight(self) -> int:
        """Return how many jobs are running or waiting."""
        return len(self._running) + len(self._waiting)

    def submit(self, job: ProbeJob) -> None:
        """Start ``job``, or put it in line."""
        if len(self._running) >= self._max_in_flight:
            self._waiting.append(job)
        else:
            self._start(job)

    def close(self) -> None:
        """End everything at once; jobs under way are not reported."""
        self._waiting.clear()
        for task in self._running:
            task.cancel()
        self._running.clear()
        self._driver.close()
        self._plain.close()
        self._resolver.close()
        if self._browser is not None:
            self._browser.close()

    def _start(self, job: ProbeJob) -> None:
        task = self._loop.create_task(self._run(job))
        self._running.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if self._waiting and len(self._running) < self._max_in_flight:
            self._start(self._waiting.popleft())

    async def _run(self, job: ProbeJob) -> None:
        started_at = clock.now()
        self._on_outcome(job.token, await self.probe_once(job), started_at)

    async def probe_once(self, job: ProbeJob) -> Outcome:
        """Run a probe beside the line of jobs and return what it saw; raises nothing."""
        network = LoopNetwork(self._resolver, timeout_seconds=job.timeout_seconds, allow_private=job.allow_private)
        context = ProbeContext(
            timeout_seconds=job.timeout_seconds,
            allow_private=job.allow_private,
            http=self._http,
            net=network,
            reads_certificate=job.reads_certificate,
            browser=self._browser,
        )
        try:
            outcome = await CHECK_TYPES.get(job.kind).probe(job.config, context)
            make_presentable(outcome, job.config)
            return outcome
        except Exception:
            # A fault of a check type must cost its own probes only.
            logger.exception("a probe of kind %s broke", job.kind)
            return Outcome(verdict=Verdict.UNKNOWN, error_code="own_fault", error_values={"detail": "probe"})
        finally:
            network.close()


def _descriptor_room() -> int:
    """Raise the limit of open files as far as allowed and return how many probes fit under it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_IN_FLIGHT * DESCRIPTORS_PER_PROBE + SPARE_DESCRIPTORS
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY:
        return MAX_IN_FLIGHT
    return max(1, (soft - SPARE_DESCRIPTORS) // DESCRIPTORS_PER_PROBE)
