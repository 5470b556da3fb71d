"""Heartbeats that the release before let out of maintenance as unknown: an upgrade has the sweep judge them, once."""

from importlib import import_module
from types import SimpleNamespace

import pytest
from django.db import connection

from apps.checks.domain.heartbeat_sweep import give_sign_of_life, sweep_heartbeats
from apps.checks.domain.ping_doors import Door
from apps.checks.domain.pings import PingStore
from apps.checks.enums import State
from apps.checks.models import CheckState, Heartbeat
from apps.core.tenancy import tenant_scope
from apps.tenants.models import Tenant
from tests.checks.test_pings import heartbeat, ping, token_of

pytestmark = pytest.mark.django_db
MIGRATION = import_module("apps.checks.migrations.0017_unknown_heartbeats_are_judged")


def leave_as_before(tenant: Tenant) -> None:
    """Make heartbeats that have no deadline: one of a job that had reported, and those that are waited for, or by a person."""
    with tenant_scope(tenant.id):
        for name in ("Backup", "Doubtful", "Resumed", "Paused", "Up"):
            PingStore().store([ping(token_of(heartbeat(name)))])
        Heartbeat.objects.update(deadline_at=None, wake_at=None)
        Heartbeat.objects.filter(watched__name="Doubtful").update(is_doubtful=True)
        Heartbeat.objects.filter(watched__name="Resumed").update(last_ping_at=None)
        CheckState.objects.filter(watched__name__in=("Backup", "Doubtful", "Resumed")).update(state=State.UNKNOWN)
        CheckState.objects.filter(watched__name="Paused").update(state=State.PAUSED)


def test_job_that_reports_no_more_is_down_and_no_other_is(acme: Tenant, globex: Tenant) -> None:
    for tenant in (acme, globex):
        leave_as_before(tenant)

    MIGRATION.awaken(None, SimpleNamespace(connection=connection))

    give_sign_of_life(Door.HTTP)
    sweep_heartbeats()
    for tenant in (acme, globex):
        with tenant_scope(tenant.id):
            assert dict(CheckState.objects.values_list("watched__name", "state")) == {
                "Backup": "down",
                "Doubtful": "unknown",
                "Resumed": "unknown",
                "Paused": "paused",
                "Up": "up",
            }
