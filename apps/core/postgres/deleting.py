"""Deleting rows with all that refers to them, while others add to it."""

from typing import Any

from django.db import IntegrityError, connection, transaction
from django.db.models import QuerySet

TRIES = 5


@transaction.atomic
def delete_whole(rows: QuerySet[Any]) -> None:
    """Delete rows and what Django's rules delete with them.

    Rivals: transactions that add a row to one of those meanwhile. One that has committed after we looked is met by the
    constraints, which are asked at once instead of at the end: we look again. One that commits later meets our locks and
    fails itself, since what it refers to is gone.
    """
    for tries_left in reversed(range(TRIES)):
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                rows.all().delete()
                cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
                cursor.execute("SET CONSTRAINTS ALL DEFERRED")
        except IntegrityError:
            if not tries_left:
                raise
        else:
            return
