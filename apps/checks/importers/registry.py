"""All importers. A new one is a file beside this one and a line here."""

from apps.checks.importers.base import Importer
from apps.checks.importers.better_stack import BetterStack
from apps.checks.importers.blackbox import Blackbox
from apps.checks.importers.gatus import Gatus
from apps.checks.importers.healthchecks import Healthchecks
from apps.checks.importers.pingdom import Pingdom
from apps.checks.importers.statuscake import StatusCake
from apps.checks.importers.uptime_kuma import UptimeKuma
from apps.checks.importers.uptimerobot import UptimeRobot
from apps.core.registry import Registry

IMPORTERS: Registry[Importer] = Registry(
    "importers",
    (
        UptimeKuma(),
        Gatus(),
        Healthchecks(),
        UptimeRobot(),
        Blackbox(),
        BetterStack(),
        Pingdom(),
        StatusCake(),
    ),
)
