"""The tenant gate: the scope, and the first wall (the ORM) built on it.

A *scope* says whose rows this piece of work may touch. It lives in a context variable; the database backend
(`apps.core.postgres`) copies it into the transaction before each statement, where row-level security, the second wall,
reads it. Composite foreign keys, the third, come from `TenantKey` and `TenantForeignKey` through the schema editor.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.expressions import Expression
from django.db.models.sql.compiler import SQLCompiler


class NoTenantScope(RuntimeError):
    """A tenant's rows were asked for where no scope says whose."""


class CrossTenantWrite(RuntimeError):
    """A row of one tenant was about to be written inside the scope of another."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose rows are open: one tenant's, or (``is_system``) everyone's for the named modules that serve all tenants."""

    tenant_id: UUID | None = None
    is_system: bool = False


NO_SCOPE = Scope()
_scope: ContextVar[Scope] = ContextVar("obsera_scope", default=NO_SCOPE)


def current_scope() -> Scope:
    return _scope.get()


def current_tenant_id() -> UUID:
    """Return the tenant of the open scope; raise `NoTenantScope` where none is open."""
    tenant_id = _scope.get().tenant_id
    if tenant_id is None:
        raise NoTenantScope("open tenant_scope(tenant_id) first: no scope says whose rows these are")
    return tenant_id


@contextmanager
def _open(scope: Scope) -> Iterator[None]:
    token = _scope.set(scope)
    try:
        yield
    finally:
        _scope.reset(token)


def tenant_scope(tenant_id: UUID) -> Any:
    """Open one tenant's rows for the block. Doors call this; domain code never does."""
    if not isinstance(tenant_id, UUID):
        raise TypeError(f"a tenant id is a UUID, not {tenant_id!r}")
    return _open(Scope(tenant_id=tenant_id))


def system_scope(reason: str) -> Any:
    """Open every tenant's rows for the block, through the managers called ``unscoped``. Only modules on the allow-list may.

    ``reason`` is read by people and by the contract test, not by the machine.
    """
    if not reason:
        raise ValueError("say why every tenant's rows are needed")
    return _open(Scope(is_system=True))


class CurrentTenant(Expression):
    """The open scope's tenant, looked up when SQL is compiled, so that a queryset made at import time is guarded too."""

    output_field = models.UUIDField()

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> Any:
        return "%s", (current_tenant_id(),)


M = TypeVar("M", bound=models.Model, covariant=True)


class TenantManager(models.Manager[M]):
    """Only the open scope's rows; raises `NoTenantScope` as soon as SQL is made outside one."""

    use_in_migrations = False

    def get_queryset(self) -> models.QuerySet[M]:
        return super().get_queryset().filter(tenant_id=CurrentTenant())


class UnscopedManager(models.Manager[M]):
    """Every tenant's rows: the visible word for the exception. Useful only inside `system_scope`: row-level security hides
    all rows elsewhere."""


def checked_tenant_id(value: UUID | None) -> UUID:
    """Return the tenant id a new row must carry, and refuse a row of another tenant."""
    scope = _scope.get()
    if scope.is_system:
        if value is None:
            raise NoTenantScope("a system write must name the row's tenant itself")
        return value
    tenant_id = current_tenant_id()
    if value is not None and value != tenant_id:
        raise CrossTenantWrite(f"a row of tenant {value} inside the scope of tenant {tenant_id}")
    return tenant_id


class TenantKeyMixin(models.Field[Any, Any]):
    """Marks the column that says whose row it is; the schema editor builds the walls of a table that has one."""

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        tenant_id = checked_tenant_id(getattr(model_instance, self.attname))
        setattr(model_instance, self.attname, tenant_id)
        return tenant_id


class TenantIdField(TenantKeyMixin, models.UUIDField[Any, Any]):
    """The tenant as a bare id, for floors below `tenants` and for rows that outlive what they describe."""


class TenantKey(TenantKeyMixin, models.ForeignKey[Any, Any]):
    """The tenant as a foreign key, filled from the scope."""


class TenantForeignKey(models.ForeignKey[Any, Any]):
    """A foreign key inside one tenant: the database constraint is (tenant_id, column) -> (tenant_id, id), since foreign-key
    checks pass by row-level security."""


class TenantOneToOneField(models.OneToOneField[Any, Any]):
    """`TenantForeignKey` with a unique column."""
