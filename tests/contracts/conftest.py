"""What the contracts share: floors, and a tenant in which every kind of row exists."""

import tomllib
from pathlib import Path

import pytest
from django.apps import apps
from django.db import models

from apps.core.tenancy import tenant_scope
from apps.tenants.models import Tenant
from tests.contracts.population import populate

ROOT = Path(__file__).resolve().parents[2]


def floors() -> dict[str, int]:
    """Return each app's floor, from the layers that `lint-imports` judges by; the lowest is 0."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    return {app.strip(): floor for floor, layer in enumerate(reversed(layers)) for app in layer.split("|")}


def own_models() -> list[type[models.Model]]:
    """Return every concrete model of the product itself."""
    return [model for model in apps.get_models() if model.__module__.startswith("apps.")]


@pytest.fixture
def full_globex(globex: Tenant) -> Tenant:
    """The stranger, with at least one row of everything that has an address."""
    with tenant_scope(globex.id):
        populate(globex)
    return globex
