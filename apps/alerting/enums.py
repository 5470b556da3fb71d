"""Words of this app."""

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class AlertState(TextChoices):
    """Where an alert stands."""

    FIRING = "firing", _("Firing")
    ACKNOWLEDGED = "acknowledged", _("Acknowledged")
    RESOLVED = "resolved", _("Resolved")


OPEN_STATES = (AlertState.FIRING, AlertState.ACKNOWLEDGED)


class Trigger(TextChoices):
    """What made the pipeline look at an alert."""

    OPENED = "opened", _("The outage opened")
    CHANGED = "changed", _("The outage got worse or better")
    RESOLVED = "resolved", _("The outage ended")
    RULES = "rules", _("A rule changed")
    TIME = "time", _("A reminder was due, or what held it back ended")
    CALM = "calm", _("The check began or ceased to flap")
    GONE = "gone", _("The check was deleted")


class Notice(TextChoices):
    """What a message tells."""

    FIRING = "firing", _("Firing")
    WORSE = "worse", _("Got worse")
    BETTER = "better", _("Got better")
    REPEAT = "repeat", _("Reminder")
    FLAPPING = "flapping", _("Flapping")
    RESOLVED = "resolved", _("Resolved")


class Verdict(TextChoices):
    """What a stage did with an alert."""

    PASSED = "passed", _("Passed")
    STOPPED = "stopped", _("Stopped")


class Reason(TextChoices):
    """Why a stage let an alert pass or stopped it; the label is the sentence, its names are filled from the step's values."""

    MATCHED = "matched", _("The rule covers this check and “%(severity)s”.")
    OVER = "over", _("What the rule watches for is over.")
    RULE_GONE = "rule_gone", _("The rule was deleted.")
    RULE_OFF = "rule_off", _("The rule is switched off.")
    OTHER_TAGS = "other_tags", _("The check has none of the rule's tags: %(tags)s.")
    OTHER_SEVERITY = "other_severity", _("The rule does not cover “%(severity)s”.")
    OVER_BEFORE = "over_before", _("The outage was over before the rule saw it.")
    PARENT_DOWN = "parent_down", _("Because of “%(parent)s”, which it depends on.")
    PARENT_UNDECIDED = "parent_undecided", _("Waiting until it is clear how “%(parent)s” is, which it depends on.")
    NOT_INHIBITED = "not_inhibited", _("No graver alert on the same check, and what it depends on is well.")
    INHIBITED = "inhibited", _("Rule “%(rule)s” tells of something graver on the same check.")
    IN_MAINTENANCE = "in_maintenance", _("The check is under maintenance.")
    NOT_HELD = "not_held", _("Nothing to wait for.")
    FLAPPING_TOLD = "flapping_told", _("The check flaps, as was told. The rest waits until it has calmed down.")
    NOT_SILENCED = "not_silenced", _("No silence applies.")
    SILENCED = "silenced", _("Silenced until %(until)s: %(reason)s")
    RESOLVE_ANYWAY = "resolve_anyway", _("Who was told that it began is told that it is over, whatever applies now.")
    GROUPED = "grouped", _("One alert per rule and check.")
    FIRST = "first", _("Nobody had been told of it yet.")
    WORSE = "worse", _("More is wrong than was told last.")
    BETTER = "better", _("Less is wrong than was told last.")
    ALL_RESOLVED = "all_resolved", _("It was told as firing and is over.")
    REPEAT_DUE = "repeat_due", _("The last message is older than the rule's reminder interval.")
    FLAPPING = "flapping", _("The check flaps: that is told once.")
    AFTER_MAINTENANCE = "after_maintenance", _("Maintenance is over, and the check is still not well.")
    NOTHING_NEW = "nothing_new", _("Nothing new since the last message.")
    NOTHING_TOLD = "nothing_told", _("Nobody was told that it began, so nobody needs to hear that it is over.")
    LEVEL = "level", _("Goes to the rule's channels: %(channels)s.")
    TOLD_CHANNELS = "told_channels", _("Goes to the channels that were told: %(channels)s.")
    ACKNOWLEDGED = "acknowledged", _("Someone is on it: no reminders.")
    NO_CHANNELS = "no_channels", _("There is no channel that is switched on.")
    NO_RESOLVES = "no_resolves", _("The rule does not tell when it is over.")
    PLANNED = "planned", _("Messages written down for delivery: %(count)s.")
