"""The group: nothing is sent out, its state follows from that of its members."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from django.core.exceptions import ValidationError
from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

from apps.checks.enums import HELD_STATES, State, Verdict
from apps.checks.types.base import Fact, Group, Outcome, ProbeContext
from apps.checks.types.messages import Message
from apps.core.kinds import Config as BaseConfig
from apps.core.kinds import Text, setting

BY_KEY = "key:"  # before a member's key: then no check is meant that merely is called so
MOST_CHARACTERS = 20_000
MEMBERS = _("Members and their rule")


class Rule(TextChoices):
    """How members make a state."""

    WORST = "worst", _("As the worst of them")
    QUORUM = "quorum", _("Up while enough of them are")


@dataclass(frozen=True, kw_only=True)
class GroupConfig(BaseConfig):
    """Which checks belong to it, and what they make of it."""

    rule: str = setting(Rule.WORST.value, section=MEMBERS, label=_("State"), choices=tuple(Rule.choices))
    quorum: int = setting(
        1,
        section=MEMBERS,
        shown_when="rule=quorum",
        label=_("Enough are"),
        help=_("Only for “Up while enough of them are”: so many must be up or degraded."),
        low=1,
        high=1_000,
    )
    members: list[str] = setting(  # noqa: RUF009 - it makes a field
        list,
        section=MEMBERS,
        label=_("Members"),
        help=_("Checks by their name, key or id, one a line; “key:shop” means the check with that key alone."),
        max_length=MOST_CHARACTERS,
    )
    tag: str = setting(
        "",
        section=MEMBERS,
        label=_("Members by tag"),
        help=_("Every check with this tag belongs to it."),
        max_length=40,
    )

    def clean(self) -> None:
        if self.rule not in Rule.values:
            raise ValidationError({"rule": _("This cannot be empty.")})
        if not self.members and not self.tag:
            raise ValidationError({"members": _("Name members or a tag.")})


def compose(states: Collection[str], *, rule: str, quorum: int) -> State:
    """Return the state that members in these states make.

    Paused ones and those under maintenance are left out, and a quorum is never more than what is left; of nothing, nothing
    is known. The worst: what is not known does not count while anything is. A quorum: unknown where it depends on that.
    """
    counts = Counter(state for state in states if state not in HELD_STATES)
    well, answering = counts[State.UP], counts[State.UP] + counts[State.DEGRADED]
    unclear = counts[State.UNKNOWN] + counts[State.NEW]
    left = answering + unclear + counts[State.DOWN]
    if left == unclear:
        return State.UNKNOWN
    if rule == Rule.WORST:
        return next(state for state in (State.DOWN, State.DEGRADED, State.UP) if counts[state])
    needed = min(quorum, left)
    if answering >= needed:
        return State.UP if well >= needed else State.DEGRADED
    return State.UNKNOWN if answering + unclear >= needed else State.DOWN


class GroupCheck:
    """Several checks as one."""

    kind: ClassVar[str] = "group"
    label: ClassVar[Text] = _("Group")
    help: ClassVar[Text] = _("Makes one state of several checks: as the worst of them, or up while enough of them are.")
    icon: ClassVar[str] = "sitemap"
    group: ClassVar[Group] = Group.COMPOSED
    is_probed: ClassVar[bool] = False
    Config: ClassVar[type[BaseConfig]] = GroupConfig
    messages: ClassVar[Mapping[str, Message]] = {
        "group_member_down": (_("Not up: %(members)s."), _("Look at these checks.")),
    }
    facts: ClassVar[Mapping[str, Fact]] = {}

    def sample(self) -> GroupConfig:
        return GroupConfig(rule="quorum", quorum=2, tag="web")

    def target(self, config: BaseConfig) -> str:
        wanted = cast("GroupConfig", config)
        members = [member.removeprefix(BY_KEY) for member in wanted.members]
        return ", ".join([*members, *([f"#{wanted.tag}"] if wanted.tag else [])])[:500]

    async def probe(self, config: BaseConfig, context: ProbeContext) -> Outcome:
        """Nothing is sent out for a group: asked all the same, nothing is known."""
        values: dict[str, Any] = {}
        return Outcome(verdict=Verdict.UNKNOWN, error_values=values)
