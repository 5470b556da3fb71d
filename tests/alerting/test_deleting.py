"""Checks deleted while an outage of theirs is being judged: two real transactions."""

from functools import partial

import pytest

from apps.alerting.domain.rounds import consider_outages
from apps.alerting.enums import Trigger
from apps.alerting.models import Alert
from apps.checks.domain.checks import delete_check
from apps.checks.enums import State
from apps.core.tenancy import tenant_scope
from apps.incidents.models import Outage
from apps.tenants.models import Tenant
from tests.factories.alerting import make_channel, make_rule
from tests.factories.checks import make_check
from tests.factories.incidents import make_outage
from tests.rivals import meanwhile


@pytest.mark.django_db(transaction=True)
def test_whoever_deletes_a_check_waits_for_the_round_that_writes_its_alert(acme: Tenant) -> None:
    with tenant_scope(acme.id):
        make_channel(is_default=True)
        make_rule()
        check = make_check("Shop", state=State.DOWN)
        outage = make_outage(check)

    judge = partial(consider_outages, [outage.id], Trigger.OPENED)
    with meanwhile(tenant_scope(acme.id), judge), tenant_scope(acme.id):
        delete_check(check)

    with tenant_scope(acme.id):
        assert not Outage.objects.exists()
        assert [(alert.outage_id, alert.check_name) for alert in Alert.objects.all()] == [(None, "Shop")]
