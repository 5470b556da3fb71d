"""What a check depends on."""

from django.db import models
from django.db.models import F, Q

from apps.checks.models.check import Check
from apps.core.tenancy import TenantForeignKey
from apps.tenants.models import TenantModel


class Dependency(TenantModel):
    """The child cannot be well while the parent is down: a server behind a router."""

    child = TenantForeignKey(Check, on_delete=models.CASCADE, related_name="dependencies", db_index=False)
    parent = TenantForeignKey(Check, on_delete=models.CASCADE, related_name="dependents")

    class Meta(TenantModel.Meta):
        constraints = [
            models.UniqueConstraint(fields=["child", "parent"], name="checks_dependency_once"),
            models.CheckConstraint(condition=~Q(child=F("parent")), name="checks_dependency_on_another"),
        ]

    def __str__(self) -> str:
        return f"{self.child_id} → {self.parent_id}"
