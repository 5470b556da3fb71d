"""The base of every tenant's rows."""

from typing import Any, ClassVar

from django.db import models

from apps.core.ids import uuid7
from apps.core.tenancy import TenantKey, TenantManager, UnscopedManager


class TenantModel(models.Model):
    """A row that belongs to one tenant. ``objects`` sees the open scope's rows only."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = TenantKey("tenants.Tenant", on_delete=models.CASCADE, editable=False, related_name="+")

    objects: ClassVar[TenantManager[Any]] = TenantManager()
    unscoped: ClassVar[UnscopedManager[Any]] = UnscopedManager()

    class Meta:
        abstract = True
        base_manager_name = "objects"
