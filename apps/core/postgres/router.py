"""Which connection does what: the owner migrates, everything else goes through the role that owns nothing."""

from typing import Any


class OwnerMigratesRouter:
    """Migrations run on ``owner`` alone; both names are one database."""

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        return db == "owner"

    def allow_relation(self, obj1: Any, obj2: Any, **hints: Any) -> bool:
        return True
