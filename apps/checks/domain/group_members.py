"""Which checks belong to which groups: named by name, key or id, or by a tag."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import cast
from uuid import UUID

from django.db.models import Q, QuerySet

from apps.checks.domain.settings import config_of
from apps.checks.models import Check
from apps.checks.types.group import BY_KEY, GroupCheck, GroupConfig
from apps.core.ids import is_uuid

KIND = GroupCheck.kind


def all_groups() -> QuerySet[Check]:
    found: QuerySet[Check] = Check.objects.filter(kind=KIND)
    return found


def group_config(group: Check) -> GroupConfig:
    return cast("GroupConfig", config_of(group))


def members_of(group: Check) -> QuerySet[Check]:
    """Return the checks that belong to a group."""
    found: QuerySet[Check] = Check.objects.filter(_wanted([group_config(group)])).exclude(id=group.id)
    return found.select_related("checkstate").order_by("name", "id")


def members_by_group(groups: Collection[Check]) -> dict[UUID, list[Check]]:
    """Return what `members_of` gives for each of the groups, by their ids, with one query for all of them."""
    if not groups:
        return {}
    wanted = Check.objects.filter(_wanted([group_config(group) for group in groups]))
    register = Register(wanted.select_related("checkstate").order_by("name", "id"))
    return {group.id: register.members_of(group) for group in groups}


def groups_of(checks: Iterable[Check]) -> list[Check]:
    """Return the groups that one of the checks belongs to, by id."""
    register = Register(checks)
    return [group for group in all_groups().order_by("id") if register.members_of(group)] if register.checks else []


class Register:
    """Some checks, found by all that groups may call them: `members_of` without a query."""

    def __init__(self, checks: Iterable[Check]) -> None:
        self.checks: Sequence[Check] = list(checks)
        self._called: dict[str, list[int]] = {}
        self._tagged: dict[str, list[int]] = {}
        for place, check in enumerate(self.checks):
            for name in _names_of(check):
                self._called.setdefault(name, []).append(place)
            for tag in check.tags:
                self._tagged.setdefault(tag, []).append(place)

    def members_of(self, group: Check) -> list[Check]:
        """Return those of the checks that belong to a group, in their order."""
        config = group_config(group)
        called = {*config.members, *map(str, _ids_in(config))}  # ids as we write them, whatever their spelling there
        places = {place for name in called for place in self._called.get(name, ())}
        places.update(self._tagged.get(config.tag.lower(), ()))
        return [check for place in sorted(places) if (check := self.checks[place]).id != group.id]


def _names_of(check: Check) -> set[str]:
    names = {str(check.id), *([check.key, BY_KEY + check.key] if check.key else [])}
    if not check.name.startswith(BY_KEY):  # such a text means a key alone
        names.add(check.name)
    return names


def _wanted(configs: Sequence[GroupConfig]) -> Q:
    members = {member for config in configs for member in config.members}
    keys = [member.removeprefix(BY_KEY) for member in members]
    names = [member for member in members if not member.startswith(BY_KEY)]
    wanted = Q(name__in=names) | (Q(key__in=keys) & ~Q(key=""))
    if ids := [check_id for config in configs for check_id in _ids_in(config)]:
        wanted |= Q(id__in=ids)
    if tags := {config.tag.lower() for config in configs if config.tag}:
        wanted |= Q(tags__overlap=sorted(tags))
    return wanted


def _ids_in(config: GroupConfig) -> Iterator[UUID]:
    return (UUID(member) for member in config.members if is_uuid(member))
