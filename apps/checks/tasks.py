"""Tasks of the probers' workers."""

import threading
from typing import Any

from celery import shared_task
from celery.signals import worker_ready, worker_shutting_down
from django.conf import settings
from django.db import close_old_connections

from apps.checks.domain.flapping import look_for_calm
from apps.checks.domain.grouping import regroup_all
from apps.checks.domain.heartbeat_sweep import sweep_heartbeats
from apps.checks.domain.learning import forget_a_little, learn_patience
from apps.checks.domain.looking_back import forget_old_hindsight, look_back_at_late_results
from apps.checks.domain.partitions import turn_over_partitions
from apps.checks.domain.ping_pruning import prune_pings
from apps.checks.domain.prober import run_prober
from apps.checks.domain.prober_work import DatabaseWork
from apps.checks.domain.regions import lose_sight_of_silent_regions, note_controls, region_of_code
from apps.checks.domain.rollups import forget_old_rollups, roll_up
from apps.checks.domain.turns import regions_with_overdue_turns
from apps.events.hints import hint

# A region's probers have a queue of their own, so that a start meant for one never lands in another.
MAIN_CODE = "main"
RUN_TASK = "checks.run_prober"
_stop = threading.Event()


def queue_of(region_code: str) -> str:
    """Return the queue that a region's probes worker listens to."""
    return "probes" if region_code == MAIN_CODE else f"probes-{region_code}"


@worker_shutting_down.connect
def _tell_the_prober(**_details: Any) -> None:
    _stop.set()


@worker_ready.connect
def _wake_a_prober(sender: Any, **_details: Any) -> None:
    """A fresh probes worker starts at once; `sweep_turns` wakes it should this hint be lost."""
    queue = queue_of(settings.PROBE_REGION)
    if queue in sender.app.amqp.queues.consume_from:
        hint(RUN_TASK, queue=queue, expires_seconds=10)


@shared_task(name=RUN_TASK)
def run() -> None:
    """Probe until the worker is told to stop: the one task of a worker with the solo pool."""
    region = region_of_code(settings.PROBE_REGION)
    note_controls(region, settings.PROBE_CONTROLS)
    run_prober(DatabaseWork(region.id), _stop, controls=settings.PROBE_CONTROLS, has_browser=settings.BROWSER_CHECKS)


@shared_task(name="checks.sweep_turns")
def sweep_turns() -> None:
    """Wake a prober where turns wait too long: its start hint was lost."""
    for code in regions_with_overdue_turns():
        hint(RUN_TASK, queue=queue_of(code), expires_seconds=5)


@shared_task(name="checks.lose_sight")
def lose_sight() -> None:
    """Say "unknown" where no prober has looked for a while."""
    lose_sight_of_silent_regions()


@shared_task(name="checks.learn_patience")
def learn() -> None:
    """Give checks with a goal for false pages the retries that their history asks for."""
    learn_patience()


@shared_task(name="checks.forget_a_little")
def forget() -> None:
    """Let what was learned long ago fade."""
    forget_a_little()


@shared_task(name="checks.turn_over_partitions")
def turn_over() -> None:
    """Make room for the coming days' results and drop the oldest."""
    turn_over_partitions()
    close_old_connections()


@shared_task(name="checks.look_for_calm")
def calm_down() -> None:
    """End the flapping of checks that have calmed down."""
    look_for_calm()


@shared_task(name="checks.sweep_heartbeats")
def look_for_silence() -> None:
    """Notice heartbeats whose report did not come."""
    sweep_heartbeats(is_quick=True)


@shared_task(name="checks.sweep_all_heartbeats")
def look_for_all_silence() -> None:
    """Notice those, too, whose report did not come long ago, while one of the ping doors is closed."""
    sweep_heartbeats()


@shared_task(name="checks.prune_pings")
def prune() -> None:
    """Forget old pings."""
    prune_pings()


@shared_task(name="checks.regroup")
def regroup() -> None:
    """Bring groups in line with their members."""
    regroup_all()


@shared_task(name="checks.roll_up")
def roll() -> None:
    """Roll complete hours up."""
    roll_up()


@shared_task(name="checks.forget_old_rollups")
def forget_rollups() -> None:
    """Drop rollups and hindsight that nothing shows any more."""
    forget_old_rollups()
    forget_old_hindsight()


@shared_task(name="checks.look_back")
def look_back() -> None:
    """See what late results make of times that nobody seemed to have seen."""
    look_back_at_late_results()
