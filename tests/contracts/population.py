"""One row of everything: what could leak must exist before a test can say that it did not."""

from datetime import timedelta

from apps.alerting.domain.silences import create_silence
from apps.checks.domain.agents import create_agent
from apps.core import clock
from apps.events.domain.outbox import deliver_pending
from apps.incidents.domain.maintenance import start_now
from apps.notifications.channels.webhook import WebhookChannel
from apps.notifications.domain.channels import Draft, create_channel
from apps.statuspages.models import StatusPage
from apps.tenants.domain.api_keys import create_api_key
from apps.tenants.domain.invitations import invite
from apps.tenants.domain.rights import permissions_of
from apps.tenants.enums import Role
from apps.tenants.models import Tenant
from tests.factories.alerting import make_rule
from tests.factories.checks import make_check
from tests.factories.incidents import make_outage

EVERYTHING = permissions_of(Role.OWNER)


def populate(tenant: Tenant) -> None:
    """Fill the open tenant. A new resource with an address gets its row here."""
    invite(email="someone@globex.example", role=Role.VIEWER, invited_by=None, can=EVERYTHING)
    create_api_key(name="theirs", role=Role.OWNER, created_by=None, can=EVERYTHING)
    webhook = WebhookChannel()
    create_channel(kind=webhook.kind, draft=Draft(name="theirs", config=webhook.sample(), is_default=True))
    create_agent(name="theirs")
    make_rule()
    create_silence(ends_at=clock.now() + timedelta(hours=1), actor=None, tags=["theirs"])
    make_outage(make_check("theirs"))
    start_now(make_check("their disks", key="disks"), actor=None, time_zone="UTC")
    deliver_pending()  # the tenant's own first page, rule and channel; the alert of the outage and its deliveries
    assert StatusPage.objects.exists()
