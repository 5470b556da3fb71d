"""Anyone may listen to a published page; unpublishing ends that at once."""

import pytest
from asgiref.sync import sync_to_async
from django.db import transaction
from websockets.exceptions import ConnectionClosed

from apps.core.tenancy import tenant_scope
from apps.statuspages.domain.live import touch_pages
from apps.statuspages.domain.pages import create_page, update_page
from apps.statuspages.models import StatusPage
from apps.tenants.models import Tenant
from tests.factories import make_tenant, make_user
from tests.live.conftest import Valkey, dial, heard, heard_type, serving, valkey

__all__ = ["valkey"]
pytestmark = pytest.mark.django_db(transaction=True)


def published() -> tuple[Tenant, StatusPage]:
    tenant = make_tenant("Acme", make_user("olga@acme.example"))
    with tenant_scope(tenant.id):
        return tenant, create_page(title="Acme Cloud", slug="acme-cloud")


def change(tenant: Tenant, page: StatusPage) -> None:
    with tenant_scope(tenant.id), transaction.atomic():
        touch_pages([page.id])


def unpublish(tenant: Tenant, page: StatusPage) -> None:
    with tenant_scope(tenant.id):
        update_page(page, is_published=False)


async def test_visitor_hears_a_published_page_until_it_is_withdrawn(valkey: Valkey):
    tenant, page = await sync_to_async(published)()

    async with serving() as address:
        async with dial(address, "/ws/live/p/acme-cloud/") as visitor:
            assert (await heard(visitor))["type"] == "hello"
            await sync_to_async(change)(tenant, page)
            assert (await heard(visitor))["ids"] == [f"page:{page.id}"]
            await sync_to_async(unpublish)(tenant, page)
            with pytest.raises(ConnectionClosed) as closed:
                await heard_type(visitor, "never")
        async with dial(address, "/ws/live/p/acme-cloud/") as late:
            with pytest.raises(ConnectionClosed) as refused:
                await heard(late)

    assert [each.value.rcvd and each.value.rcvd.code for each in (closed, refused)] == [4404, 4404]
