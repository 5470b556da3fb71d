"""Control targets: addresses that answer whenever a region's own network is well.

When more than half of them fail, the region is sick: what its probes fail on then is not held against anybody.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from time import monotonic
from urllib.parse import urlsplit

from apps.checks.engine.job import ProbeJob
from apps.checks.enums import Verdict
from apps.checks.types.base import Outcome
from apps.checks.types.http import HttpConfig

# A look at the controls is good for so long: shorter than any retry, so that each try is judged by a look of its own.
FRESH_SECONDS = 2.0
TIMEOUT_SECONDS = 3.0

ProbeOnce = Callable[[ProbeJob], Awaitable[Outcome]]
Look = Callable[[], Awaitable[str]]  # returns why a control failed, or nothing


class Controls:
    """Looks at controls when asked, at most once in `FRESH_SECONDS`. Without any nothing is ever sick."""

    def __init__(self, looks: Mapping[str, Look]) -> None:
        self._looks = looks
        self._looked_at = float("-inf")
        self._failed: list[str] = []
        self._look: asyncio.Task[None] | None = None

    @property
    def is_watched(self) -> bool:
        return bool(self._looks)

    async def failed(self) -> list[str]:
        """Return the failed controls when they are more than half, else nothing."""
        if not self._looks:
            return []
        if monotonic() - self._looked_at > FRESH_SECONDS:
            self._look = self._look or asyncio.ensure_future(self._look_at_all())
            await asyncio.shield(self._look)
        return self._failed if len(self._failed) * 2 > len(self._looks) else []

    async def _look_at_all(self) -> None:
        try:
            reasons = await asyncio.gather(*(look() for look in self._looks.values()))
            self._failed = [f"{name}: {reason}" for name, reason in zip(self._looks, reasons, strict=True) if reason]
            self._looked_at = monotonic()
        finally:
            self._look = None


def control_targets(targets: Sequence[str], probe_once: ProbeOnce) -> dict[str, Look]:
    """Return how to look at addresses that the operator names, so that they may lie in the own network."""
    return {target: _look_at(_config(target), probe_once) for target in targets}


def _look_at(config: HttpConfig, probe_once: ProbeOnce) -> Look:
    async def look() -> str:
        outcome = await probe_once(
            ProbeJob(token=None, kind="http", config=config, timeout_seconds=TIMEOUT_SECONDS, allow_private=True)
        )
        # A control that could not be asked, such as a misspelt one, must not hide outages.
        return outcome.error_code if outcome.verdict == Verdict.FAILURE else ""

    return look


def home(lost: Callable[[], str]) -> dict[str, Look]:
    """Return how to look at the place that the prober works for; ``lost`` may block, and says why it cannot be reached."""
    return {"home": lambda: asyncio.to_thread(lost)}


def _config(target: str) -> HttpConfig:
    url = target if urlsplit(target).scheme in ("http", "https") else f"https://{target}/"
    return HttpConfig(url=url, method="HEAD", expected_status="100-599", follow_redirects=False, verify_tls=False)
