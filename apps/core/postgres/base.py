"""Keep the transaction's tenant and role in step with the open scope.

``set_config(…, true)`` lasts until the end of the transaction, so a pooled connection (PgBouncer in transaction mode)
cannot carry one tenant's scope to another's request; a session-level SET was measured to do just that. Outside a
transaction the statement gets one of its own.
"""

from collections.abc import Callable, Hashable
from typing import Any

from django.conf import settings
from django.db.backends.postgresql import base
from django.db.transaction import Atomic

from apps.core.postgres.schema import DatabaseSchemaEditor
from apps.core.tenancy import NO_SCOPE, Scope, current_scope

SET_SCOPE = "SELECT set_config('app.tenant_id', %s, true), set_config('role', %s, true)"
# These run inside a failed transaction too, where any other statement would be refused.
SAVEPOINT_WORDS = ("SAVEPOINT", "RELEASE SAVEPOINT", "ROLLBACK TO SAVEPOINT")
Execute = Callable[[str, Any, bool, dict[str, Any]], Any]


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection that tells PostgreSQL whose rows are open before it sends a statement."""

    SchemaEditorClass = DatabaseSchemaEditor

    def __init__(self, settings_dict: dict[str, Any], alias: str = "default") -> None:
        super().__init__(settings_dict, alias)
        self._sent_scope: Scope | None = NO_SCOPE  # None: a rollback to a savepoint left it unknown
        self.memory: dict[Hashable, Any] = {}  # what `apps.core.postgres.memory` keeps for one transaction
        if alias != "owner":
            self.execute_wrappers.append(self._execute_in_scope)

    def _execute_in_scope(self, execute: Execute, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        scope = current_scope()
        is_current = scope == self._sent_scope and (self.in_atomic_block or scope == NO_SCOPE)
        if is_current or str(sql).startswith(SAVEPOINT_WORDS):
            return execute(sql, params, many, context)
        if self.in_atomic_block:
            self._send_scope(scope)
            return execute(sql, params, many, context)
        with Atomic(self.alias, savepoint=False, durable=False):
            self._send_scope(scope)
            return execute(sql, params, many, context)

    def _send_scope(self, scope: Scope) -> None:
        role = settings.DB_SYSTEM_ROLE if scope.is_system else "none"
        with self.wrap_database_errors, self.connection.cursor() as cursor:  # past the wrappers: this is their own
            cursor.execute(SET_SCOPE, (str(scope.tenant_id or ""), role))
        self._sent_scope = scope

    # The end of a transaction, or a rollback to a savepoint, undoes set_config: forget what was sent, and what was read.

    def connect(self) -> None:
        self._sent_scope = NO_SCOPE
        self.memory.clear()
        super().connect()

    def _commit(self) -> None:
        self._sent_scope = NO_SCOPE
        self.memory.clear()
        super()._commit()  # type: ignore[misc]  # the stubs lack these three

    def _rollback(self) -> None:
        self._sent_scope = NO_SCOPE
        self.memory.clear()
        super()._rollback()  # type: ignore[misc]

    def _savepoint_rollback(self, sid: str) -> None:
        super()._savepoint_rollback(sid)  # type: ignore[misc]
        self._sent_scope = None
        self.memory.clear()
