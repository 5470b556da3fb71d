"""What an import brings besides checks: entries of a document's other sections, each as far as its section takes it."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from django.utils.translation import gettext_lazy as _

from apps.checks.domain.configuration import DocumentErrors, Standing
from apps.checks.domain.document_steps import Action, sections
from apps.checks.importers.base import Loss
from apps.checks.importers.windows import UNCOVERED
from apps.core.kinds import Text

HERE = _("It is here already; it stays as it is.")
HERE_WITHOUT = _("It is here already and stays as it is: it does not cover the checks that come now. Add them to it.")

# An entry of a section as an importer makes it: with a key, a name, and the keys of the ``checks`` that it is about.
Given = Mapping[str, Any]


def settle_sections(
    given: Mapping[str, Sequence[Given]], *, can: Collection[str], standing: Iterable[Standing], coming: Collection[str]
) -> tuple[dict[str, list[Given]], list[Loss]]:
    """Return the entries that are to be made, by section, and why the others are not.

    ``can`` are the names of somebody's rights, ``coming`` the keys of the checks that come with the same import.
    """
    keys = {check.id: check.key for check in standing if not check.is_agents}
    known = {*keys.values(), *coming}
    made: dict[str, list[Given]] = {}
    losses: list[Loss] = []
    for name, entries in given.items():
        permission = sections()[name].permission
        if permission.name not in can:
            text = _("This needs the right “%(right)s”.") % {"right": permission.label}
            losses += [_lost(entry, text) for entry in entries]
            continue
        narrowed = [{**entry, "checks": [key for key in entry["checks"] if key in known]} for entry in entries]
        losses += [_lost(entry, UNCOVERED) for entry in narrowed if not entry["checks"]]
        new, lost = _settle(name, [entry for entry in narrowed if entry["checks"]], coming, keys=keys, known=known)
        losses += lost
        if new:
            made[name] = new
    return made, losses


def _settle(
    name: str, entries: Sequence[Given], coming: Collection[str], **more: Any
) -> tuple[list[Given], list[Loss]]:
    """Return the entries that are new, and why the others are not made; ``more`` is what the section wants to know."""
    try:
        steps = sections()[name].plan(entries, label="", prune_label="", **more)
    except DocumentErrors as error:
        refused = _refused(error, name, len(entries))
        rest = [entry for place, entry in enumerate(entries) if place not in refused]
        new, losses = _settle(name, rest, coming, **more)
        return new, [*(_lost(entries[place], text) for place, text in refused.items()), *losses]
    made = {step.key for step in steps if step.action == Action.CREATE}
    here = [_lost(entry, _here(entry, coming)) for entry in entries if entry["key"] not in made]
    return [entry for entry in entries if entry["key"] in made], here


def _lost(entry: Given, reason: Text) -> Loss:
    return Loss(str(entry["key"]), str(entry["name"]), reason, is_whole=True)


def _here(entry: Given, coming: Collection[str]) -> Text:
    return HERE if set(entry["checks"]).isdisjoint(coming) else HERE_WITHOUT


def _refused(error: DocumentErrors, name: str, count: int) -> dict[int, str]:
    """Return the first that is wrong with each entry, by its place; what names no place is wrong with all of them."""
    found: dict[int, str] = {}
    for path, texts in error.errors.items():
        place, _end, field = path.removeprefix(f"{name}[").partition("]")
        for number in [int(place)] if place.isdigit() else range(count):
            found.setdefault(number, f"{field.lstrip('.')}: {texts[0]}" if field else texts[0])
    return found
