"""What the scheduler asks before it starts this app's sweeps: is there anything that they would find?

Each finds a row where its sweep has something to do; where it finds none, the sweep would change nothing.
"""

from apps.checks.domain.group_members import KIND
from apps.checks.domain.judging import SILENT_AFTER
from apps.checks.domain.turns import OVERDUE
from apps.checks.enums import State

OVERDUE_TURNS = f"""
SELECT FROM checks_region AS region WHERE NOT region.is_private AND EXISTS (
    SELECT FROM checks_turn AS turn
    WHERE turn.region_id = region.id AND turn.claimable_at < now() - interval '{OVERDUE.total_seconds()} seconds'
)
"""  # noqa: S608 - constants alone
LATE_HEARTBEATS = f"""
SELECT FROM checks_heartbeat AS beat JOIN checks_checkstate AS standing ON standing.check_id = beat.check_id
WHERE beat.wake_at <= now() AND (
    beat.deadline_at IS NULL OR beat.deadline_at > now() OR standing.state NOT IN ('{State.DOWN}', '{State.MAINTENANCE}')
)
"""
LOST_SIGHT = f"""
SELECT FROM checks_region AS region
WHERE region.seen_at > now() + interval '30 seconds'
   OR region.seen_at < now() - interval '{SILENT_AFTER.total_seconds()} seconds' AND EXISTS (
    SELECT FROM checks_turn AS turn
    WHERE turn.region_id = region.id AND turn.opinion IS NOT NULL AND turn.claimable_at IS NOT NULL
)
"""  # noqa: S608 - constants alone
GROUPS = f"SELECT FROM checks_check WHERE kind = '{KIND}'"
FLAPPING = "SELECT FROM checks_checkstate WHERE is_flapping"
LOOK_BACKS = "SELECT FROM checks_lookback WHERE due_at <= now() OR due_at > now() + interval '1 minute'"
