"""Rows that go in as one document are the rows that the ORM would have written."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from django.db import DataError, IntegrityError, transaction

from apps.core.postgres.inserting import insert_rows
from apps.core.tenancy import NoTenantScope, tenant_scope
from apps.events.models import OutboxRow
from apps.tenants.models import Tenant

pytestmark = pytest.mark.django_db
AT = datetime(2026, 11, 21, 12, 34, 56, 789012, tzinfo=UTC)


def row(**changes: Any) -> dict[str, Any]:
    return {"event": "tests.rang", "handler": "x", "payload": {"a": [1, None, "ä\"'%s\\"]}, "created_at": AT, **changes}


def written() -> list[OutboxRow]:
    return list(OutboxRow.objects.filter(handler="x"))


def test_row_arrives_as_it_was_given_and_the_rest_is_filled_in(in_acme: Tenant) -> None:
    wanted = uuid4()

    insert_rows(OutboxRow, [row(id=wanted, attempts=3, is_parked=True)])

    (kept,) = written()
    assert (kept.id, kept.tenant_id, kept.payload) == (wanted, in_acme.id, {"a": [1, None, "ä\"'%s\\"]})
    assert (kept.created_at, kept.attempts, kept.is_parked, kept.last_error) == (AT, 3, True, "")


def test_any_number_is_one_statement_and_each_row_has_an_id(in_acme: Tenant, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        insert_rows(OutboxRow, [row() for _ in range(300)])

    assert len(written()) == 300


def test_nothing_costs_nothing(in_acme: Tenant, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        insert_rows(OutboxRow, [])


def test_text_that_is_too_long_is_refused_and_not_cut(in_acme: Tenant) -> None:
    with pytest.raises(DataError), transaction.atomic():
        insert_rows(OutboxRow, [row(event="x" * 101)])

    assert written() == []


def test_row_that_is_there_is_refused_or_passed_over(in_acme: Tenant) -> None:
    insert_rows(OutboxRow, [first := row(id=uuid4())])

    with pytest.raises(IntegrityError), transaction.atomic():
        insert_rows(OutboxRow, [first])
    insert_rows(OutboxRow, [first, row()], ignore_conflicts=True)

    assert len(written()) == 2


def test_column_that_there_is_not_is_refused(in_acme: Tenant) -> None:
    with pytest.raises(ValueError, match="its colour"):
        insert_rows(OutboxRow, [row(colour="red")])


def test_without_a_scope_nothing_is_written() -> None:
    with pytest.raises(NoTenantScope):
        insert_rows(OutboxRow, [row()])


def test_no_caller_names_the_tenant(acme: Tenant, globex: Tenant) -> None:
    with tenant_scope(acme.id), pytest.raises(ValueError, match="its tenant_id"):
        insert_rows(OutboxRow, [row(tenant_id=globex.id)])
