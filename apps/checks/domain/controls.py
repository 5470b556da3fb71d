"""Control targets: addresses that answer whenever a region's own network is well.

When more than half of them fail, the region is sick: what its probes fail on then is not held against anybody.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from urllib.parse import urlsplit

from apps.checks.engine.job import ProbeJob
from apps.checks.enums import Verdict
from apps.checks.types.base import Outcome
from apps.checks.types.http import HttpConfig
from apps.core.kinds import Config

# A look at the controls is good for so long: shorter than any retry, so that each try is judged by a look of its own.
FRESH_SECONDS = 2.0
TIMEOUT_SECONDS = 3.0

ProbeOnce = Callable[[ProbeJob], Awaitable[Outcome]]


class Controls:
    """Looks at the control targets when asked, at most once in `FRESH_SECONDS`. Without any target nothing is ever sick."""

    def __init__(self, targets: Sequence[str], probe_once: ProbeOnce) -> None:
        self._configs = {target: _config(target) for target in targets}
        self._probe_once = probe_once
        self._looked_at = float("-inf")
        self._failed: list[str] = []
        self._look: asyncio.Task[None] | None = None

    @property
    def is_watched(self) -> bool:
        return bool(self._configs)

    async def failed(self) -> list[str]:
        """Return the failed controls when they are more than half, else nothing."""
        if not self._configs:
            return []
        if monotonic() - self._looked_at > FRESH_SECONDS:
            self._look = self._look or asyncio.ensure_future(self._look_at_all())
            await asyncio.shield(self._look)
        return self._failed if len(self._failed) * 2 > len(self._configs) else []

    async def _look_at_all(self) -> None:
        try:
            outcomes = await asyncio.gather(*(self._look_at(config) for config in self._configs.values()))
            names = zip(self._configs, outcomes, strict=True)
            self._failed = [f"{name}: {outcome.error_code}" for name, outcome in names if _is_silent(outcome)]
            self._looked_at = monotonic()
        finally:
            self._look = None

    async def _look_at(self, config: Config) -> Outcome:
        # The operator names the controls, so that they may lie in the own network.
        return await self._probe_once(
            ProbeJob(token=None, kind="http", config=config, timeout_seconds=TIMEOUT_SECONDS, allow_private=True)
        )


def _config(target: str) -> HttpConfig:
    url = target if urlsplit(target).scheme in ("http", "https") else f"https://{target}/"
    return HttpConfig(url=url, method="HEAD", expected_status="100-599", follow_redirects=False, verify_tls=False)


def _is_silent(outcome: Outcome) -> bool:
    """Tell a control that failed from one that could not be asked, such as a misspelt one: that must not hide outages."""
    return outcome.verdict == Verdict.FAILURE
