"""What happens to a page when something happens to a check: a new version, and word to open browsers."""

import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
import redis as redis_py
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.urls import reverse

from apps.checks.domain.checks import delete_check
from apps.checks.domain.results import store_results
from apps.checks.enums import State, Verdict
from apps.checks.models import Check, Turn
from apps.core import redis
from apps.core.tenancy import CrossTenantWrite, tenant_scope
from apps.events.domain.outbox import deliver_pending
from apps.events.models import OutboxRow
from apps.incidents.models import Outage
from apps.live.domain import topics, wire
from apps.live.domain.visitors import Visitor
from apps.statuspages.domain.components import add_component
from apps.statuspages.domain.live import topic_of
from apps.statuspages.domain.pages import create_first_page, create_page, delete_page, update_page
from apps.statuspages.handlers import on_tenant_created
from apps.statuspages.models import Component, StatusPage
from apps.tenants.events import TenantCreated
from apps.tenants.models import Tenant
from tests.factories import make_tenant, make_user
from tests.factories.checks import make_check, make_result

PATIENCE_SECONDS = 60.0  # only a bound against hanging


class Heard:
    """What was published to Redis since the test began."""

    def __init__(self, subscription: redis_py.client.PubSub) -> None:
        self._subscription = subscription

    def ids(self, *topics: str) -> dict[str, set[str]]:
        """Return the ids by topic: of all ``topics``, for which it waits, and of what comes within moments."""
        by_topic: dict[str, set[str]] = {}
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            message = self._subscription.get_message(ignore_subscribe_messages=True, timeout=0.2)
            if message:
                for news in wire.parse(message["data"])[1]:
                    by_topic.setdefault(news.topic, set()).update(news.ids)
            elif set(topics) <= by_topic.keys() or time.monotonic() > deadline:
                return by_topic


@pytest.fixture
def heard() -> Iterator[Heard]:
    client = redis.client()
    subscription = client.pubsub()
    subscription.subscribe(wire.channel(client.connection_pool.connection_kwargs.get("db", 0)))
    subscription.get_message(timeout=PATIENCE_SECONDS)
    yield Heard(subscription)
    subscription.close()


def version(page: StatusPage) -> int:
    with tenant_scope(page.tenant_id):
        return int(StatusPage.objects.values_list("version", flat=True).get(id=page.id))


def probe(check: Check, verdict: Verdict) -> None:
    """Store a result, as a prober does."""
    with tenant_scope(check.tenant_id):
        result = make_result(check, verdict)
    store_results([result])


@pytest.mark.django_db(transaction=True)
def test_outage_reaches_the_pages_that_show_the_check(acme: Tenant, client: Client, heard: Heard) -> None:
    deliver_pending()  # what founding the tenant left
    with tenant_scope(acme.id):
        check, other_check = make_check("API", state=State.UP), make_check("Other", state=State.UP)
        shown, also, other = (create_page(title=slug, slug=slug) for slug in ("shown", "also", "other"))
        for page in (shown, also):
            add_component(page, check, name="Public API")
        add_component(other, other_check)
    before = [version(page) for page in (shown, also, other)]
    heard.ids()

    probe(check, Verdict.FAILURE)
    deliver_pending()

    expected = {topic_of(page.id): {f"page:{page.id}"} for page in (shown, also)}
    assert {topic: ids for topic, ids in heard.ids(*expected).items() if topic.startswith("page:")} == expected
    # the flip, then the outage that follows from it
    assert [version(page) for page in (shown, also, other)] == [before[0] + 2, before[1] + 2, before[2]]
    page_now = client.get(reverse("statuspages:live", args=["shown"])).content.decode()
    assert "Public API: outage" in page_now

    probe(check, Verdict.SUCCESS)
    deliver_pending()

    assert version(shown) == before[0] + 4
    assert "Everything works" in client.get(reverse("statuspages:live", args=["shown"])).content.decode()


@pytest.mark.django_db(transaction=True)
def test_outage_while_redis_is_away_is_told_when_it_is_back(acme: Tenant, settings: Any, heard: Heard) -> None:
    deliver_pending()
    with tenant_scope(acme.id):
        check = make_check("API", state=State.UP)
        page = create_page(title="A", slug="a")
        add_component(page, check)
    heard.ids()
    present, settings.REDIS_URL = settings.REDIS_URL, "redis://127.0.0.1:1/0"
    redis.client.cache_clear()
    try:
        probe(check, Verdict.FAILURE)
        drained = deliver_pending()
    finally:
        settings.REDIS_URL = present
        redis.client.cache_clear()

    assert drained.failed == 0
    with tenant_scope(acme.id):
        assert Outage.objects.filter(ended_at=None).count() == 1
    assert heard.ids(topic_of(page.id))[topic_of(page.id)] == {f"page:{page.id}"}


@pytest.mark.django_db(transaction=True)
def test_unpublishing_has_the_listeners_checked(acme: Tenant, heard: Heard) -> None:
    with tenant_scope(acme.id):
        page = create_page(title="A", slug="a")
        update_page(page, is_published=False)

    assert heard.ids(topic_of(page.id))[topic_of(page.id)] == {f"page:{page.id}", wire.ACCESS}


@pytest.mark.django_db(transaction=True)
def test_what_was_rolled_back_is_not_told(acme: Tenant, heard: Heard) -> None:
    with tenant_scope(acme.id):
        page = create_page(title="A", slug="a")
        heard.ids()
        with transaction.atomic():
            update_page(page, title="B")
            transaction.set_rollback(True)

    assert heard.ids() == {}


@pytest.mark.django_db
def test_only_published_pages_can_be_listened_to(in_acme: Tenant) -> None:
    kind = topics.find("p")
    assert kind is not None
    page = create_page(title="A", slug="a")
    create_page(title="B", slug="b", is_published=False)
    visitor = Visitor(None)

    assert kind.is_public
    assert [kind.resolve(visitor, slug) for slug in ("a", "b", "c")] == [f"page:{page.id}", None, None]


@pytest.mark.django_db
def test_tenant_gets_its_first_page_once(acme: Tenant) -> None:
    event = TenantCreated(tenant_id=acme.id)
    with tenant_scope(acme.id):
        on_tenant_created(event)
        on_tenant_created(event)

        assert list(StatusPage.objects.values_list("title", "slug", "is_published")) == [("Acme", "acme", True)]


@pytest.mark.django_db
def test_first_page_takes_the_next_free_address(acme: Tenant, globex: Tenant) -> None:
    with tenant_scope(globex.id):
        create_page(title="Squatter", slug="acme")
        create_page(title="Squatter", slug="acme-2")

    with tenant_scope(acme.id):
        assert create_first_page(acme).slug == "acme-3"


@pytest.mark.django_db
def test_event_table_gives_the_page(db: None) -> None:
    tenant = make_tenant("Fresh", make_user("fred@fresh.example"))
    with tenant_scope(tenant.id):
        handlers = set(OutboxRow.objects.values_list("handler", flat=True))

    assert "apps.statuspages.handlers.on_tenant_created" in handlers


@pytest.mark.django_db
def test_tenant_that_is_gone_gets_no_page(acme: Tenant) -> None:
    gone = uuid4()
    with tenant_scope(gone):
        on_tenant_created(TenantCreated(tenant_id=gone))

        assert not StatusPage.objects.exists()


@pytest.mark.django_db
def test_deleted_check_leaves_the_page(in_acme: Tenant, page: StatusPage, client: Client) -> None:
    check = make_check("API")
    add_component(page, check)

    delete_check(check)

    assert not Component.objects.exists()
    assert client.get(reverse("statuspages:public", args=["acme"])).status_code == 200


@pytest.mark.django_db
def test_deleted_page_leaves_the_checks(page: StatusPage) -> None:
    check = make_check("API")
    add_component(page, check)

    delete_page(page)

    assert (Component.objects.count(), Check.objects.count(), Turn.objects.count()) == (0, 1, 1)


@pytest.mark.django_db
def test_unknown_setting_is_a_mistake_of_ours(page: StatusPage) -> None:
    with pytest.raises(TypeError, match="has no setting"):
        update_page(page, version=7)


# --- The walls -----------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_composite_key_refuses_a_strangers_check(acme: Tenant, globex: Tenant) -> None:
    with tenant_scope(globex.id):
        theirs = make_check("theirs")
    with tenant_scope(acme.id):
        page = create_page(title="A", slug="a")

        Component.objects.create(page=page, watched_id=theirs.id, name="stolen")  # the key is judged at the commit
        with pytest.raises(IntegrityError, match="foreign key"):
            connection.check_constraints()


@pytest.mark.django_db
def test_page_of_another_tenant_cannot_be_written(acme: Tenant, globex: Tenant) -> None:
    with tenant_scope(acme.id), pytest.raises(CrossTenantWrite):
        StatusPage.objects.create(tenant_id=globex.id, title="A", slug="a")


@pytest.mark.django_db
def test_raw_sql_without_a_scope_sees_no_page(acme: Tenant) -> None:
    with tenant_scope(acme.id):
        page = create_page(title="A", slug="a")
        add_component(page, make_check("API"))
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT (SELECT count(*) FROM statuspages_statuspage), (SELECT count(*) FROM statuspages_component)"
            )
            inside = cursor.fetchone()

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT count(*) FROM statuspages_statuspage), (SELECT count(*) FROM statuspages_component)"
        )
        outside = cursor.fetchone()

    assert (inside, outside) == ((1, 1), (0, 0))
