"""Many rows in one statement: one JSON document holds them all.

The ORM builds an object a row and quotes each of its values; of a storm's traces, timelines and messages that cost more than
everything that decides about them.
"""

import json
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, models

from apps.core.tenancy import TenantKeyMixin, checked_tenant_id


def insert_rows(
    model: type[models.Model], rows: Collection[Mapping[str, Any]], *, ignore_conflicts: bool = False
) -> None:
    """Insert rows given as column names with values, the same columns in all; fields left out get their defaults.

    The tenant comes from the open scope, as everywhere. Columns that hold arrays are not for this.
    """
    if not rows:
        return
    fields: list[models.Field[Any, Any]] = list(model._meta.concrete_fields)
    open_to_all = {entry.attname for entry in fields if not isinstance(entry, TenantKeyMixin)}
    if strangers := next(iter(rows)).keys() - open_to_all:
        raise ValueError(f"nobody gives {model.__name__} its {', '.join(sorted(strangers))}")
    document = [[row[entry.attname] if entry.attname in row else _default(entry) for entry in fields] for row in rows]
    columns = ", ".join(connection.ops.quote_name(str(entry.column)) for entry in fields)
    values = ", ".join(_expression(place, entry) for place, entry in enumerate(fields))
    table = connection.ops.quote_name(model._meta.db_table)
    ending = "ON CONFLICT DO NOTHING" if ignore_conflicts else ""
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({columns}) SELECT {values} FROM jsonb_array_elements(%s::jsonb) AS entry {ending}",  # noqa: S608 - names of ours
            [json.dumps(document, default=_plain)],
        )


def _default(entry: models.Field[Any, Any]) -> Any:
    return checked_tenant_id(None) if isinstance(entry, TenantKeyMixin) else entry.get_default()


def _expression(place: int, entry: models.Field[Any, Any]) -> str:
    """Return how a column reads its value. Text stays uncast: a cast to a length would cut what is too long in silence."""
    if isinstance(entry, models.JSONField):
        return f"entry->{place}"
    if isinstance(entry, models.CharField | models.TextField):
        return f"entry->>{place}"
    return f"(entry->>{place})::{entry.db_type(connection)}"


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"{value!r} is nothing that a row holds")
