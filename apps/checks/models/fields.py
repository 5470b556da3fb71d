"""Column types of this app."""

from typing import Any

from django.db import models


class RealField(models.FloatField[Any, Any]):
    """Single precision: four bytes are plenty for milliseconds."""

    def db_type(self, connection: Any) -> str:
        return "real"
