"""What a page shows: adding, changing, moving and removing components. Each verb locks the page first: its rivals are
other editors of the same page, and positions stay 0, 1, 2 …"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from apps.checks.models import Check
from apps.core import clock
from apps.core.refusals import Refusal
from apps.statuspages.domain.live import touch_pages
from apps.statuspages.models import Component, StatusPage

MAX_COMPONENTS = 100


class AlreadyShown(Refusal):
    """The page shows that check."""

    message = _("The page shows this check already.")


class TooManyComponents(Refusal):
    """A page that long tells nobody anything."""

    message = _("A page shows at most 100 components.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A component as it shall be; ``id`` names one that is there already."""

    check: Check
    name: str
    description: str = ""
    group: str = ""
    id: UUID | None = None


@transaction.atomic
def add_component(
    page: StatusPage, check: Check, *, name: str = "", description: str = "", group: str = ""
) -> Component:
    """Show a check at the end of the page, under its own name unless given another."""
    shown = _locked_components(page)
    _refuse_crowd(len(shown) + 1)
    if any(component.watched_id == check.id for component in shown):
        raise AlreadyShown
    component = Component(page=page, watched=check, name=name or check.name[:100], description=description, group=group)
    component.position = len(shown)
    component.save(force_insert=True)
    touch_pages([page.id])
    return component


@transaction.atomic
def change_component(component: Component, *, name: str, description: str = "", group: str = "") -> Component:
    """Call a component something else."""
    component.name, component.description, component.group = name, description, group
    component.updated_at = clock.now()
    component.save(update_fields=["name", "description", "group", "updated_at"])
    touch_pages([component.page_id])
    return component


@transaction.atomic
def remove_component(component: Component) -> None:
    """Show a component no longer; its check goes on."""
    shown = [one for one in _locked_components(component.page) if one.id != component.id]
    component.delete()
    _number(shown)
    touch_pages([component.page_id])


@transaction.atomic
def move_component(component: Component, *, steps: int) -> None:
    """Move a component up (negative) or down by that many places, at most to the end."""
    shown = _locked_components(component.page)
    index = next((place for place, one in enumerate(shown) if one.id == component.id), None)
    if index is None:  # removed just now
        return
    moved = shown.pop(index)
    shown.insert(min(max(index + steps, 0), len(shown)), moved)
    _number(shown)
    touch_pages([component.page_id])


@transaction.atomic
def replace_components(page: StatusPage, wanted: Sequence[Wanted]) -> list[Component]:
    """Make the page show exactly these, in this order. Those with a known id keep it; the others are new."""
    _refuse_crowd(len(wanted))
    if len({want.check.id for want in wanted}) < len(wanted):
        raise AlreadyShown
    present = {component.id: component for component in _locked_components(page)}
    kept = {want.id for want in wanted if want.id}
    Component.objects.filter(page=page).exclude(id__in=kept).delete()
    shown = [_as_wanted(present.get(want.id) if want.id else None, page, want) for want in wanted]
    _number(shown)
    touch_pages([page.id])
    return shown


def _as_wanted(component: Component | None, page: StatusPage, want: Wanted) -> Component:
    component = component or Component(page=page)
    component.watched, component.updated_at = want.check, clock.now()
    component.name, component.description, component.group = want.name, want.description, want.group
    component.save()
    return component


def _locked_components(page: StatusPage) -> list[Component]:
    StatusPage.objects.select_for_update(no_key=True).get(id=page.id)
    return list(Component.objects.filter(page=page).order_by("position", "id"))


def _number(shown: Sequence[Component]) -> None:
    for position, component in enumerate(shown):
        component.position = position
    Component.objects.bulk_update(shown, ["position"])


def _refuse_crowd(count: int) -> None:
    if count > MAX_COMPONENTS:
        raise TooManyComponents
