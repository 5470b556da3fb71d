"""Checks deleted while their outages are being written."""

import pytest

from apps.checks.domain.checks import delete_check
from apps.checks.enums import State
from apps.checks.models import Check
from apps.core.tenancy import tenant_scope
from apps.incidents.enums import EntryKind
from apps.incidents.models import Outage, OutageEntry
from apps.tenants.models import Tenant
from tests.factories.checks import make_check
from tests.factories.incidents import make_outage
from tests.rivals import meanwhile


@pytest.mark.django_db(transaction=True)
def test_deletion_waits_for_what_accounts_for_flips(acme: Tenant) -> None:
    with tenant_scope(acme.id):
        check = make_check(state=State.DOWN)
        outage = make_outage(check)

    def account() -> None:
        list(Check.objects.select_for_update(no_key=True).filter(id=check.id))

    def write() -> None:
        OutageEntry.objects.create(outage=outage, kind=EntryKind.NOTE)

    with meanwhile(tenant_scope(acme.id), account, write), tenant_scope(acme.id):
        delete_check(check)

    with tenant_scope(acme.id):
        assert (Check.objects.count(), Outage.objects.count(), OutageEntry.objects.count()) == (0, 0, 0)
