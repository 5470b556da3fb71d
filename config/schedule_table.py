"""What recurs, and how often. What ``asks`` is started only where the scheduler finds that there is something to do."""

from datetime import timedelta

from apps.events.domain.schedule import Job

SCHEDULE_TABLE = (
    # Finds events whose hint was lost, or whose next try is due.
    Job(
        "events.sweep",
        task="events.deliver",
        every=timedelta(seconds=1),
        queue="events",
        asks="apps.events.domain.outbox.HAS_WAITING",
    ),
    # These find what was put off by a clock that has been set back since.
    *(
        Job(f"{app}.straighten", task=f"{app}.straighten", every=timedelta(seconds=10), queue=queue, asks=asks)
        for app, queue, asks in (
            ("events", "events", "apps.events.domain.outbox.HAS_AHEAD"),
            ("notifications", "deliveries", "apps.notifications.domain.claiming.HAS_AHEAD"),
            ("alerting", "events", "apps.alerting.domain.straightening.HAS_AHEAD"),
        )
    ),
    # Wakes a prober whose start hint was lost.
    Job(
        "checks.sweep_turns",
        task="checks.sweep_turns",
        every=timedelta(seconds=2),
        queue="events",
        asks="apps.checks.domain.waiting.OVERDUE_TURNS",
    ),
    # Notices heartbeats whose report did not come.
    Job(
        "checks.sweep_heartbeats",
        task="checks.sweep_heartbeats",
        every=timedelta(seconds=1),
        queue="events",
        asks="apps.checks.domain.waiting.LATE_HEARTBEATS",
    ),
    # Finds those that the look of every second passes over while a ping door is closed.
    Job(
        "checks.sweep_all_heartbeats",
        task="checks.sweep_all_heartbeats",
        every=timedelta(seconds=30),
        queue="events",
        asks="apps.checks.domain.waiting.LATE_HEARTBEATS",
    ),
    Job("checks.prune_pings", task="checks.prune_pings", every=timedelta(minutes=10), queue="events"),
    # Finds deliveries whose hint was lost, whose next try is due, or whose worker died.
    Job(
        "notifications.sweep",
        task="notifications.deliver",
        every=timedelta(seconds=1),
        queue="deliveries",
        asks="apps.notifications.domain.claiming.HAS_DUE",
    ),
    # Looks again at alerts whose silence ended, whose reminder is due, or whose check was deleted.
    Job(
        "alerting.reevaluate",
        task="alerting.reevaluate",
        every=timedelta(seconds=10),
        queue="events",
        asks="apps.alerting.domain.reminding.HAS_DUE",
    ),
    Job(
        "notifications.forget_old_deliveries",
        task="notifications.forget_old_deliveries",
        every=timedelta(days=1),
        queue="deliveries",
    ),
    # Says "unknown" where no prober has looked for a while.
    Job(
        "checks.lose_sight",
        task="checks.lose_sight",
        every=timedelta(seconds=30),
        queue="events",
        asks="apps.checks.domain.waiting.LOST_SIGHT",
        rests=timedelta(minutes=1),  # four signs of life
    ),
    # Learns from checks' own history how often they fail by chance, and keeps their goals for false pages.
    Job("checks.learn_patience", task="checks.learn_patience", every=timedelta(hours=1), queue="events"),
    Job("checks.forget_a_little", task="checks.forget_a_little", every=timedelta(days=1), queue="events"),
    # Makes the coming days' partitions of results, drops the oldest.
    Job("checks.turn_over_partitions", task="checks.turn_over_partitions", every=timedelta(hours=6), queue="events"),
    # Rolls complete hours of results up for charts and bars.
    Job("checks.roll_up", task="checks.roll_up", every=timedelta(minutes=5), queue="events"),
    Job("checks.forget_old_rollups", task="checks.forget_old_rollups", every=timedelta(days=1), queue="events"),
    # Sees what late results make of times that nobody seemed to have seen.
    Job(
        "checks.look_back",
        task="checks.look_back",
        every=timedelta(seconds=5),
        queue="events",
        asks="apps.checks.domain.waiting.LOOK_BACKS",
    ),
    # Tags are given and taken, and members of groups deleted, without a change of state.
    Job(
        "checks.regroup",
        task="checks.regroup",
        every=timedelta(seconds=30),
        queue="events",
        asks="apps.checks.domain.waiting.GROUPS",
    ),
    # Time alone calms a flapping check.
    Job(
        "checks.look_for_calm",
        task="checks.look_for_calm",
        every=timedelta(seconds=30),
        queue="events",
        asks="apps.checks.domain.waiting.FLAPPING",
    ),
    # Brings checks into maintenance and out of it; what people change is applied at once.
    Job(
        "incidents.apply_maintenance",
        task="incidents.apply_maintenance",
        every=timedelta(seconds=5),
        queue="events",
        asks="apps.incidents.domain.maintenance_edges.MAY_APPLY",
    ),
    Job("accounts.forget_old_sessions", task="accounts.forget_old_sessions", every=timedelta(days=1), queue="events"),
)
