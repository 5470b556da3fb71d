"""Every model says whose its rows are, guards them, and points downwards only."""

import pytest
from django.core.management import call_command
from django.db import models

from apps.core.tenancy import (
    TenantForeignKey,
    TenantIdField,
    TenantKey,
    TenantKeyMixin,
    TenantManager,
    TenantOneToOneField,
    UnscopedManager,
)
from tests.contracts.conftest import floors, own_models

WITHOUT_TENANT = {
    "accounts.User": "a person exists once and may belong to many tenants",
    "accounts.User_groups": "Django's own table; the product uses no groups",
    "accounts.User_user_permissions": "Django's own table; the product uses no per-person permissions",
    "checks.Region": "a place that probes start from serves many tenants, and bears no tenant's name",
    "checks.SickSpell": "when a region's own control targets failed",
    "checks.PingDoor": "the installation's own sign of life",
    "checks.RolledHour": "which hours are rolled up, of all tenants at once",
    "events.ScheduledJob": "what recurs for the whole installation",
    "tenants.Tenant": "the root that every tenant's row points to",
}


def is_tenants(model: type[models.Model]) -> bool:
    return any(isinstance(field, TenantKeyMixin) for field in model._meta.local_fields)


def app_of(model: type[models.Model]) -> str:
    return model.__module__.split(".")[1]


def test_every_model_is_a_tenants_or_on_the_list_with_a_reason() -> None:
    without = {model._meta.label for model in own_models() if not is_tenants(model)}

    assert without - set(WITHOUT_TENANT) == set()


@pytest.mark.parametrize("model", [m for m in own_models() if is_tenants(m)], ids=lambda model: model._meta.label)
def test_tenant_model_is_guarded_wherever_django_reaches_for_rows(model: type[models.Model]) -> None:
    assert model._meta.base_manager_name == "objects"
    assert isinstance(model._meta.default_manager, TenantManager)
    assert isinstance(model._meta.base_manager, TenantManager)
    assert isinstance(model.unscoped, UnscopedManager)  # type: ignore[attr-defined]
    assert [field.column for field in model._meta.local_fields if isinstance(field, TenantKeyMixin)] == ["tenant_id"]


def references() -> list[models.ForeignKey]:
    return [
        field for model in own_models() for field in model._meta.local_fields if isinstance(field, models.ForeignKey)
    ]


@pytest.mark.parametrize("field", references(), ids=str)
def test_reference_points_to_the_same_or_a_lower_floor(field: models.ForeignKey) -> None:
    target = field.remote_field.model
    if not target.__module__.startswith("apps."):
        return  # Django's and django-allauth's tables lie below all

    assert floors()[app_of(target)] <= floors()[app_of(field.model)]


@pytest.mark.parametrize("field", references(), ids=str)
def test_reference_between_tenant_models_carries_the_tenant(field: models.ForeignKey) -> None:
    if not (is_tenants(field.model) and is_tenants(field.remote_field.model)):
        return

    assert isinstance(field, TenantForeignKey | TenantOneToOneField)


def test_rows_of_the_lower_floors_know_the_tenant_by_id_only() -> None:
    below = [model for model in own_models() if is_tenants(model) and floors()[app_of(model)] < floors()["tenants"]]

    assert below
    for model in below:
        assert any(isinstance(field, TenantIdField) for field in model._meta.local_fields)
        assert not any(isinstance(field, TenantKey) for field in model._meta.local_fields)


@pytest.mark.django_db(databases=["default", "owner"])
def test_no_migration_is_missing() -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)
