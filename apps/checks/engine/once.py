"""One probe by itself, for somebody who waits for it."""

from datetime import datetime
from typing import Any

from apps.checks.engine.job import ProbeJob
from apps.checks.engine.loop import ProbeLoop
from apps.checks.types.base import Outcome


async def probe_alone(job: ProbeJob) -> Outcome:
    """Run a probe on the running event loop and return what it saw; raises nothing that the target can cause."""
    probes = ProbeLoop(_nobody, max_in_flight=1)
    try:
        return await probes.probe_once(job)
    finally:
        probes.close()


def _nobody(_token: Any, _outcome: Outcome, _started_at: datetime) -> None:
    """Nothing is submitted, so nothing is reported."""
