"""The three walls, tried with the simplest tenant table there is."""

import pytest
from django.db import IntegrityError, connection, transaction

from apps.core.tenancy import CrossTenantWrite, NoTenantScope, system_scope, tenant_scope
from apps.tenants.enums import Role
from apps.tenants.models import ApiKey, Membership, Tenant
from tests.factories import make_user

pytestmark = pytest.mark.django_db


def raw_count(table: str = "tenants_membership") -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table}")
        (count,) = cursor.fetchone()
    return count


def test_orm_refuses_every_read_outside_a_scope(acme: Tenant) -> None:
    rows = Membership.objects.all()

    for read in (
        list,
        lambda q: q.exists(),
        lambda q: q.count(),
        lambda q: q.update(role="viewer"),
        lambda q: q.delete(),
    ):
        with pytest.raises(NoTenantScope):
            read(rows)


def test_queryset_made_outside_a_scope_is_bound_where_it_runs(acme: Tenant, globex: Tenant) -> None:
    rows = Membership.objects.all()

    with tenant_scope(acme.id):
        in_acme = [row.tenant_id for row in rows.all()]
    with tenant_scope(globex.id):
        in_globex = [row.tenant_id for row in rows.all()]

    assert (in_acme, in_globex) == ([acme.id], [globex.id])


def test_raw_sql_sees_only_the_open_tenant(acme: Tenant, globex: Tenant) -> None:
    counts = [raw_count()]
    with tenant_scope(acme.id):
        counts.append(raw_count())
        with system_scope("count all"):
            counts.append(raw_count())
        counts.append(raw_count())
    counts.append(raw_count())

    assert counts == [0, 1, 2, 1, 0]


def test_unscoped_outside_system_scope_sees_nothing(acme: Tenant) -> None:
    assert Membership.unscoped.count() == 0


def test_rollback_to_a_savepoint_does_not_leave_the_wrong_tenant_open(acme: Tenant, globex: Tenant) -> None:
    with tenant_scope(acme.id), transaction.atomic():
        raw_count()
        with pytest.raises(IntegrityError), transaction.atomic(), tenant_scope(globex.id):
            Tenant.objects.create(name="Twice", slug=globex.slug)

        seen = list(Membership.objects.values_list("tenant_id", flat=True))

    assert seen == [acme.id]


def test_database_error_inside_an_inner_scope_can_be_rolled_back(acme: Tenant, globex: Tenant) -> None:
    with tenant_scope(acme.id):
        with (
            pytest.raises(IntegrityError),
            transaction.atomic(),
            tenant_scope(globex.id),
            connection.cursor() as cursor,
        ):
            cursor.execute("INSERT INTO tenants_tenant SELECT * FROM tenants_tenant")
        count = raw_count()

    assert count == 1


def test_save_and_bulk_create_refuse_another_tenants_row(in_acme: Tenant, globex: Tenant) -> None:
    stranger = Membership(tenant=globex, user=make_user("x@x.example"), role=Role.VIEWER)

    with pytest.raises(CrossTenantWrite):
        stranger.save()
    with pytest.raises(CrossTenantWrite):
        Membership.objects.bulk_create([stranger])


def test_raw_insert_of_another_tenants_row_is_refused_by_the_database(in_acme: Tenant, globex: Tenant) -> None:
    with pytest.raises(Exception, match="row-level security"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO tenants_apikey (id, tenant_id, name, role, key_hash, last_four, created_at)"
            " VALUES (gen_random_uuid(), %s, 'k', 'viewer', 'h', 'abcd', now())",
            [globex.id],
        )


def test_new_row_takes_its_tenant_from_the_scope(in_acme: Tenant) -> None:
    key = ApiKey.objects.create(name="ci", key_hash="0" * 64, last_four="abcd")

    assert key.tenant_id == in_acme.id
