"""A check, its turns, its state, its flips and its results.

What changes with every result stands in tables of its own, so that the row people edit is left alone: `Turn` is written
once a result, `CheckState` and `Flip` only when the state changes.
"""

from apps.checks.models.agent import Agent
from apps.checks.models.check import MAX_INTERVAL_SECONDS, MIN_INTERVAL_SECONDS, Check, PerCheck
from apps.checks.models.dependency import Dependency
from apps.checks.models.fields import RealField
from apps.checks.models.heartbeat import MAX_BODY_BYTES, Heartbeat, Ping, PingDoor, PingKey
from apps.checks.models.hindsight import Hindsight, LookBack
from apps.checks.models.region import MAIN_REGION, Region, SickSpell
from apps.checks.models.result import Result
from apps.checks.models.rollup import DayRollup, HourRollup, RolledHour
from apps.checks.models.state import CheckState, Flip
from apps.checks.models.turn import Turn

__all__ = [
    "MAIN_REGION",
    "MAX_BODY_BYTES",
    "MAX_INTERVAL_SECONDS",
    "MIN_INTERVAL_SECONDS",
    "Agent",
    "Check",
    "CheckState",
    "DayRollup",
    "Dependency",
    "Flip",
    "Heartbeat",
    "Hindsight",
    "HourRollup",
    "LookBack",
    "PerCheck",
    "Ping",
    "PingDoor",
    "PingKey",
    "RealField",
    "Region",
    "Result",
    "RolledHour",
    "SickSpell",
    "Turn",
]
