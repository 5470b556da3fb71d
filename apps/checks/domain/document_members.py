"""Members of groups in documents: written as ``key:…``, which names one check whatever others are called."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Protocol
from uuid import UUID

from apps.checks.types.group import BY_KEY, MOST_CHARACTERS, GroupConfig
from apps.core.ids import is_uuid
from apps.core.kind_fields import MAX_LINES
from apps.core.kinds import Config


class Named(Protocol):
    """What people call a check."""

    @property
    def key(self) -> str: ...
    @property
    def name(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Roll:
    """Which checks a member's text means, as documents call them: those of a name, and the one of a key or an id."""

    of_name: Mapping[str, Collection[str]]
    keys: Collection[str]
    of_id: Mapping[UUID, str]

    def meant(self, member: str) -> Iterator[str]:
        """Yield the keys of what a text means."""
        if member.startswith(BY_KEY):
            member = member.removeprefix(BY_KEY)
        else:
            yield from self.of_name.get(member, ())
            if is_uuid(member) and (key := self.of_id.get(UUID(member))):  # whatever its spelling, as groups read it
                yield key
        if member in self.keys:
            yield member

    def by_keys(self, members: Iterable[str], *, hidden: Collection[str] = ()) -> list[str]:
        """Return members by their keys. A text that means nothing, or what is ``hidden`` from documents, stays as well."""
        found: list[str] = []
        for member in members:
            keys = list(self.meant(member))
            found += [BY_KEY + key for key in keys if key not in hidden]
            if not keys or any(key in hidden for key in keys):
                found.append(member)
        return list(dict.fromkeys(found))


def roll_of(checks: Iterable[Named], *, keys: Collection[str], ids: Mapping[UUID, str]) -> Roll:
    """Return the roll of checks; ``keys`` are those by which groups may name them, ``ids`` their keys by their ids."""
    of_name: dict[str, list[str]] = {}
    for check in checks:
        of_name.setdefault(check.name, []).append(check.key)
    return Roll(of_name, keys, ids)


def written_members(config: Config, roll: Roll, *, hidden: Collection[str]) -> Config:
    """Return a group's settings as a document writes them; those of other kinds, and what is too much, stay as they are."""
    if not isinstance(config, GroupConfig):
        return config
    members = roll.by_keys(config.members, hidden=hidden)
    fits = len(members) <= MAX_LINES and sum(len(member) + 1 for member in members) <= MOST_CHARACTERS
    return replace(config, members=members) if fits else config


def settled_members(config: Config, stored: Config | None, *, before: Roll, after: Roll) -> Config:
    """Return what a document wants of a group, with the members that it has where they mean the same.

    ``before`` is how checks are called as they stand and ``after`` as the document wants it.
    """
    if not isinstance(config, GroupConfig) or not isinstance(stored, GroupConfig):
        return config
    wanted, has = after.by_keys(config.members), before.by_keys(stored.members)
    return replace(config, members=stored.members) if set(wanted) == set(has) else config
