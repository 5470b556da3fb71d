"""Deleting rows with all that refers to them, while others add to it."""

from typing import Any

from django.db import transaction
from django.db.models import CASCADE, Model, QuerySet


@transaction.atomic
def delete_whole(rows: QuerySet[Any]) -> None:
    """Delete rows and what Django's rules delete with them.

    Rivals: transactions that add a row to one of those meanwhile. Whoever has committed before our locks is seen; whoever
    commits later waits for them and fails, since what the new row refers to is gone. Locks go from the rows down to what
    hangs on them, so others who hold both must take them in that order.
    """
    _hold(rows, rows.model)
    rows.all().delete()


def _hold(rows: QuerySet[Any], root: type[Model]) -> None:
    """Lock the rows, and those below them to which something may be added that does not refer to the root itself."""
    ids = list(rows.select_for_update().order_by("pk").values_list("pk", flat=True))
    for relation in rows.model._meta.related_objects:
        below = relation.related_model
        if relation.on_delete is CASCADE and not all(
            _refers(further.related_model, root) for further in below._meta.related_objects
        ):
            _hold(below._base_manager.filter(**{f"{relation.field.name}__in": ids}), root)


def _refers(model: type[Model], root: type[Model]) -> bool:
    return any(field.related_model is root for field in model._meta.fields)
