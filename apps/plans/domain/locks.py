"""The one lock that makes limits exact."""

from uuid import UUID

from django.db import connection

from apps.core.postgres.memory import forget, read_once


def plan_key(tenant_id: UUID) -> tuple[str, UUID]:
    """Return under which name a transaction keeps the tenant's plan once it was read."""
    return ("plan", tenant_id)


def lock_plan(tenant_id: UUID) -> None:
    """Let nobody else use up or change what the tenant may have, until the end of the transaction.

    Rival: another request, worker or node that adds one at the same moment; both would count the same and both pass. A
    tenant need not have a row to lock, so the lock is PostgreSQL's own, by the tenant's id. Take it before the locks of
    what is added (states, slugs, groups), so that two who add cannot wait for each other.
    """
    read_once(("plan lock", tenant_id), lambda: _lock(tenant_id))


def _lock(tenant_id: UUID) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"plan:{tenant_id}"])
    forget(plan_key(tenant_id))  # an operator may have changed it while we waited
    return True
