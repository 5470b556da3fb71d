"""Column types of this app."""

from typing import Any

from django.db import models

from apps.checks.types.heartbeat import respelled


class RealField(models.FloatField[Any, Any]):
    """Single precision: four bytes are plenty for milliseconds."""

    def db_type(self, connection: Any) -> str:
        return "real"


class TargetField(models.CharField[Any, Any]):
    """What people see of a check's address, wherever it is read. Rows are written anew only when somebody edits the check."""

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> str | None:
        return value if value is None else respelled(value)

    def deconstruct(self) -> Any:
        name, _path, args, kwargs = super().deconstruct()
        return name, "django.db.models.CharField", args, kwargs
