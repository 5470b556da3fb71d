"""The second and third wall, written by the schema editor from the fields of a model, so that no migration can forget them."""

from typing import Any

from django.conf import settings
from django.db import models
from django.db.backends.ddl_references import Columns, Statement
from django.db.backends.postgresql import schema

from apps.core.tenancy import TenantForeignKey, TenantKeyMixin, TenantOneToOneField

TENANT_COLUMN = "tenant_id"
OPEN_TENANT = "(SELECT nullif(current_setting('app.tenant_id', true), '')::uuid)"


class PartitionKey(models.DateTimeField[Any, Any]):
    """The instant by whose day PostgreSQL partitions the table."""


def tenant_column(model: type[models.Model]) -> str | None:
    """Return the column that says whose row it is, or None for a table without tenants."""
    return next((field.column for field in model._meta.local_fields if isinstance(field, TenantKeyMixin)), None)


class DatabaseSchemaEditor(schema.DatabaseSchemaEditor):
    """Adds grants, row-level security, ``UNIQUE (tenant_id, id)``, composite foreign keys and partitioning to new tables."""

    sql_create_column_inline_fk = None  # type: ignore[assignment]  # a column added later gets its composite key by ALTER TABLE like the others

    def create_model(self, model: type[models.Model]) -> None:
        super().create_model(model)
        table = self.quote_name(model._meta.db_table)
        roles = f"{self.quote_name(settings.DB_APP_ROLE)}, {self.quote_name(settings.DB_SYSTEM_ROLE)}"
        self.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {roles}")
        if tenant := tenant_column(model):
            self._build_tenant_walls(model, table, self.quote_name(tenant))

    def add_field(self, model: type[models.Model], field: Any) -> None:
        super().add_field(model, field)
        if isinstance(field, TenantKeyMixin):  # a migration may split a new table from its references
            self._build_tenant_walls(model, self.quote_name(model._meta.db_table), self.quote_name(str(field.column)))

    def _build_tenant_walls(self, model: type[models.Model], table: str, tenant: str) -> None:
        system = self.quote_name(settings.DB_SYSTEM_ROLE)
        rule = f"{tenant} = {OPEN_TENANT}"
        self.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
        self.execute(f"CREATE POLICY tenant_rows ON {table} USING ({rule}) WITH CHECK ({rule})")
        self.execute(f"CREATE POLICY system_rows ON {table} TO {system} USING (true) WITH CHECK (true)")
        if any(field.column == "id" for field in model._meta.local_fields):
            name = self.quote_name(f"{model._meta.db_table}_tenant_id_id")
            self.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} UNIQUE ({tenant}, id)")

    def table_sql(self, model: type[models.Model]) -> tuple[str, Any]:
        sql, params = super().table_sql(model)
        for field in model._meta.local_fields:
            if isinstance(field, PartitionKey):
                sql += f" PARTITION BY RANGE ({self.quote_name(str(field.column))})"
        return sql, params

    def _create_fk_sql(self, model: type[models.Model], field: Any, suffix: str) -> Statement:
        statement: Statement = super()._create_fk_sql(model, field, suffix)  # type: ignore[misc]  # the stubs lack it
        if isinstance(field, TenantForeignKey | TenantOneToOneField):
            source, target = model._meta.db_table, field.target_field.model._meta.db_table
            source_columns = [str(tenant_column(model)), field.column]
            target_columns = [str(tenant_column(field.target_field.model)), str(field.target_field.column)]
            statement.parts["column"] = Columns(source, source_columns, self.quote_name)
            statement.parts["to_column"] = Columns(target, target_columns, self.quote_name)
        return statement
