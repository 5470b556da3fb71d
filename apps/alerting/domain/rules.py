"""Rules: made, changed, deleted. Each change has what is open looked at again."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.alerting.events import ReviewAsked, RulesChanged
from apps.alerting.models import DEFAULT_REPEAT_INTERVAL, AlertRule, RuleChannel, any_severity
from apps.core.refusals import Refusal
from apps.core.tenancy import current_tenant_id
from apps.events.domain.outbox import emit, emit_many
from apps.incidents.models import Outage
from apps.notifications.models import Channel


class RuleNameTaken(Refusal):
    """Names tell rules apart."""

    message = gettext_lazy("Another rule has this name.")
    field = "name"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSettings:
    """Everything people set of a rule; empty ``tags`` mean any check, empty ``channels`` the default ones."""

    name: str
    is_enabled: bool = True
    severities: Sequence[str] = field(default_factory=any_severity)
    tags: Sequence[str] = ()
    channels: Sequence[Channel] = ()
    notifies_on_resolve: bool = True
    repeat_interval: timedelta | None = DEFAULT_REPEAT_INTERVAL


def create_rule(given: RuleSettings) -> AlertRule:
    """Make a rule; raise `RuleNameTaken`."""
    return keep_rule(None, given)


@transaction.atomic
def keep_rule(existing: AlertRule | None, given: RuleSettings) -> AlertRule:
    """Make a rule, or give one other settings; raise `RuleNameTaken`."""
    rule = existing or AlertRule()
    rule.name, rule.is_enabled, rule.notifies_on_resolve = given.name, given.is_enabled, given.notifies_on_resolve
    rule.severities, rule.tags, rule.repeat_interval = list(given.severities), list(given.tags), given.repeat_interval
    try:
        with transaction.atomic():
            rule.save()
    except IntegrityError as error:  # rival: someone naming another rule so right now
        if "alerting_rule_name_once" not in str(error):
            raise
        raise RuleNameTaken from error
    RuleChannel.objects.filter(rule=rule).exclude(channel__in=given.channels).delete()
    RuleChannel.objects.bulk_create(
        [RuleChannel(rule=rule, channel=channel) for channel in given.channels], ignore_conflicts=True
    )
    emit(RulesChanged(tenant_id=current_tenant_id()))
    return rule


def settings_of(rule: AlertRule, **changes: Any) -> RuleSettings:
    """Return a rule's settings, some of them changed."""
    names = ("name", "is_enabled", "severities", "tags", "notifies_on_resolve", "repeat_interval")
    kept = {name: getattr(rule, name) for name in names}
    return RuleSettings(**{**kept, "channels": list(rule.channels.all()), **changes})


@transaction.atomic
def delete_rule(rule: AlertRule) -> None:
    """Delete a rule. Its open alerts stay until their outages end, so that whoever was told hears that too."""
    rule.delete()
    emit(RulesChanged(tenant_id=current_tenant_id()))


def create_default_rule() -> None:
    """Give a new tenant the rule that tells everything to the default channels; a tenant with rules keeps them."""
    if not AlertRule.objects.exists():
        create_rule(RuleSettings(name=_("Everything to the default channels")))


def review_open_outages() -> None:
    """Ask for every open outage to be looked at, each in its own turn."""
    open_ids = Outage.objects.filter(ended_at=None).values_list("id", flat=True)
    emit_many(ReviewAsked(tenant_id=current_tenant_id(), outage_id=outage_id) for outage_id in open_ids)
