"""A new tenant's first channel."""

import pytest

from apps.accounts.models import User
from apps.core.tenancy import tenant_scope
from apps.events.domain.outbox import deliver_pending
from apps.events.domain.table import event_table
from apps.notifications.channels.email import EmailConfig
from apps.notifications.domain.channels import config_of
from apps.notifications.handlers import on_tenant_created
from apps.notifications.models import Channel
from apps.tenants.events import TenantCreated
from apps.tenants.models import Tenant
from tests.factories import make_tenant, make_user


@pytest.mark.django_db(transaction=True)
def test_new_tenant_gets_a_default_channel_to_its_founder() -> None:
    tenant = make_tenant("Acme", make_user("olga@acme.example"))

    deliver_pending()

    with tenant_scope(tenant.id):
        (channel,) = Channel.objects.all()
        assert (channel.name, channel.kind, channel.is_default, channel.is_enabled) == (
            "Owner’s e-mail",
            "email",
            True,
            True,
        )
        assert config_of(channel) == EmailConfig(address="olga@acme.example")


def test_second_telling_changes_nothing(in_acme: Tenant, owner: User) -> None:
    on_tenant_created(TenantCreated(tenant_id=in_acme.id))
    on_tenant_created(TenantCreated(tenant_id=in_acme.id))

    assert Channel.objects.count() == 1


def test_handler_is_wired() -> None:
    assert "apps.notifications.handlers.on_tenant_created" in event_table()[TenantCreated]
