"""Channels and deliveries as a program meets them."""

from typing import Any
from uuid import UUID

import pytest

from apps.core.tenancy import tenant_scope
from apps.notifications.channels.base import Message
from apps.notifications.channels.webhook import WebhookConfig
from apps.notifications.domain.channels import Draft, config_of, create_channel
from apps.notifications.domain.planning import plan_delivery
from apps.notifications.enums import DeliveryState
from apps.notifications.models import Channel, Delivery
from apps.tenants.enums import Role
from apps.tenants.models import Tenant
from tests.factories.api import Api, make_api
from tests.peers.receiver import Say, listening

pytestmark = pytest.mark.django_db
CHANNELS = "/api/v1/channels/"
DELIVERIES = "/api/v1/deliveries/"
HOOK = "https://hooks.example.com/in"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def api(acme: Tenant) -> Api:
    return make_api(acme, Role.EDITOR)


def made(api: Api, **given: Any) -> Any:
    body = {"name": "Hook", "kind": "webhook", "config": {"url": HOOK, "secret": SECRET}, **given}
    return api.post(CHANNELS, body)


def test_channel_by_the_letter(api: Api) -> None:
    answer = made(api, is_default=True)

    body = answer.json()
    assert answer.status_code == 201
    assert UUID(body.pop("id"))
    assert body.pop("created_at")
    assert body == {
        "name": "Hook",
        "kind": "webhook",
        "config": {"url": HOOK, "secret": "••••LaSw", "headers": {}},
        "address": HOOK,
        "is_default": True,
        "is_enabled": True,
        "disabled_reason": "",
        "last_ok_at": None,
        "last_error": "",
        "generated": {},
    }


def test_made_secret_is_answered_once(api: Api, acme: Tenant) -> None:
    body = made(api, config={"url": HOOK}).json()

    with tenant_scope(acme.id):
        secret = config_of(Channel.objects.get()).secret  # type: ignore[attr-defined]
    assert body["generated"] == {"secret": secret}
    assert secret not in api.get(f"{CHANNELS}{body['id']}/").content.decode()
    assert secret not in api.get(CHANNELS).content.decode()


def test_every_wrong_field_is_named(api: Api) -> None:
    answer = api.post(CHANNELS, {"name": 5, "kind": "pigeon", "config": {}, "color": "red", "last_error": "x"})

    assert answer.status_code == 400
    assert answer.json()["errors"] == {
        "name": ["Give a text in quotes."],
        "kind": ['"pigeon" is not a valid choice.'],
        "color": ["There is no such field."],
        "last_error": ["This field cannot be set."],
    }


@pytest.mark.parametrize(
    ("config", "errors"),
    [
        ({}, {"url": ["This field is required."]}),
        ({"url": HOOK, "colour": 1}, {"colour": ["There is no such setting here."]}),
        ({"url": 5}, {"url": ["Give text in quotes."]}),
        ({"url": HOOK, "headers": {"A": 1}}, {"headers": ['Give an object of strings, such as {"Name": "value"}.']}),
        ({"url": "nonsense"}, {"url": ["Only addresses that begin with http:// or https:// can be used."]}),
    ],
)
def test_wrong_settings_are_named(api: Api, config: dict[str, Any], errors: dict[str, Any]) -> None:
    answer = made(api, config=config)

    assert answer.status_code == 400
    assert answer.json()["errors"] == {"config": errors}


def test_taken_name_is_a_conflict(api: Api) -> None:
    made(api)

    answer = made(api)

    assert answer.status_code == 409
    assert answer.json()["detail"] == "Another channel has this name; choose a different one."
    assert list(answer.json()["errors"]) == ["name"]


def test_patch_changes_what_it_names_and_keeps_secrets(api: Api, acme: Tenant) -> None:
    path = f"{CHANNELS}{made(api, is_default=True).json()['id']}/"

    answer = api.patch(path, {"config": {"url": HOOK + "/2"}, "name": "Renamed"})

    assert answer.status_code == 200
    with tenant_scope(acme.id):
        channel = Channel.objects.get()
        assert (channel.name, channel.is_default, channel.is_enabled) == ("Renamed", True, True)
        assert config_of(channel) == WebhookConfig(url=HOOK + "/2", secret=SECRET)


def test_patch_with_what_was_read_changes_nothing(api: Api, acme: Tenant) -> None:
    given = {"url": HOOK, "secret": SECRET, "headers": {"Authorization": "Bearer top-secret-token"}}
    body = made(api, config=given).json()
    assert body["config"]["headers"] == {"Authorization": "••••oken"}

    api.patch(f"{CHANNELS}{body['id']}/", {"config": body["config"]})

    with tenant_scope(acme.id):
        assert config_of(Channel.objects.get()) == WebhookConfig(**given)


def test_kind_stays(api: Api) -> None:
    path = f"{CHANNELS}{made(api).json()['id']}/"

    answer = api.patch(path, {"kind": "slack"})

    assert answer.json()["errors"] == {"kind": ["A channel keeps its kind; create another one."]}


def test_deleted_channel_is_gone(api: Api) -> None:
    path = f"{CHANNELS}{made(api).json()['id']}/"

    assert api.delete(path).status_code == 204
    assert api.get(path).status_code == 404


def test_test_answers_how_it_went(api: Api) -> None:
    with listening(lambda number, _heard: Say() if number == 1 else Say(503, b"busy")) as receiver:
        path = f"{CHANNELS}{made(api, config={'url': receiver.url()}).json()['id']}/test/"

        good, bad = api.post(path, {}), api.post(path, {})

    assert (good.status_code, good.json()) == (200, {"ok": True, "code": "", "status_code": 200, "detail": "ok"})
    assert bad.status_code == 200
    assert bad.json() == {
        "ok": False,
        "code": "http-503",
        "status_code": 503,
        "detail": "The receiver answered with status 503.",
    }
    states = [row["state"] for row in api.get(DELIVERIES).json()["results"]]
    assert states == ["failed", "sent"]


def test_viewer_may_read_only(api: Api, acme: Tenant) -> None:
    path = f"{CHANNELS}{made(api).json()['id']}/"
    viewer = make_api(acme, Role.VIEWER)

    assert viewer.get(path).status_code == 200
    assert viewer.get(DELIVERIES).status_code == 200
    assert made(viewer, name="other").status_code == 403
    assert viewer.patch(path, {"name": "x"}).status_code == 403
    assert viewer.post(path + "test/", {}).status_code == 403
    assert viewer.delete(path).status_code == 403


def test_stranger_meets_nothing(api: Api, globex: Tenant, hints: list[str]) -> None:
    with tenant_scope(globex.id):
        theirs = create_channel(kind="webhook", draft=Draft(name="T", config=WebhookConfig(url=HOOK, secret=SECRET)))
        delivery = plan_delivery(channel=theirs, message=Message(title="secret"), key="alert:1")

    for answer in (
        api.get(f"{CHANNELS}{theirs.id}/"),
        api.patch(f"{CHANNELS}{theirs.id}/", {"name": "mine"}),
        api.delete(f"{CHANNELS}{theirs.id}/"),
        api.post(f"{CHANNELS}{theirs.id}/test/", {}),
        api.get(f"{DELIVERIES}{delivery.id}/"),
        api.post(f"{DELIVERIES}{delivery.id}/resend/", {}),
    ):
        assert answer.status_code == 404
    assert api.get(CHANNELS).json()["results"] == []
    assert api.get(f"{DELIVERIES}?channel={theirs.id}").json()["results"] == []


def planned(acme: Tenant, channel_id: str, key: str) -> Delivery:
    with tenant_scope(acme.id):
        channel = Channel.objects.get(id=channel_id)
        return plan_delivery(channel=channel, message=Message(title=f"about {key}"), key=key)


def test_deliveries_list_and_filter(api: Api, acme: Tenant, hints: list[str]) -> None:
    channel = made(api).json()["id"]
    planned(acme, channel, "a")
    planned(acme, channel, "b")
    with tenant_scope(acme.id):
        Delivery.objects.filter(key="a").update(state=DeliveryState.SENT)

    def keys(query: str) -> list[str]:
        return [row["key"] for row in api.get(DELIVERIES + query).json()["results"]]

    assert keys("") == ["b", "a"]
    assert keys("?state=sent") == ["a"]
    assert keys(f"?channel={channel}&state=pending") == ["b"]
    assert api.get(f"{DELIVERIES}?state=nonsense").status_code == 400
    assert api.get(f"{DELIVERIES}?channel=nonsense").status_code == 400


def test_delivery_by_the_letter_and_sent_again(api: Api, acme: Tenant, hints: list[str]) -> None:
    channel = made(api).json()["id"]
    delivery = planned(acme, channel, "alert:1")
    path = f"{DELIVERIES}{delivery.id}/"

    body = api.get(path).json()

    assert body.pop("created_at")
    assert body.pop("next_try_at")
    assert body.pop("message")["title"] == "about alert:1"
    assert body == {
        "id": str(delivery.id),
        "channel": channel,
        "channel_name": "Hook",
        "channel_kind": "webhook",
        "key": "alert:1",
        "title": "about alert:1",
        "subject_kind": "",
        "subject_id": None,
        "state": "pending",
        "attempts": 0,
        "failures": 0,
        "last_error": "",
        "sent_at": None,
        "tries": [],
    }
    assert api.post(path + "resend/", {}).status_code == 409
    with tenant_scope(acme.id):
        Delivery.objects.update(state=DeliveryState.FAILED)
    assert api.post(path + "resend/", {}).json()["state"] == "pending"


def test_lists_cost_the_same_for_one_and_three_rows(api: Api, acme: Tenant, hints: list[str], query_count: Any) -> None:
    channel = made(api).json()["id"]
    planned(acme, channel, "a")

    def cost(path: str) -> int:
        with query_count() as captured:
            assert api.get(path).status_code == 200
        return len(captured)

    one = cost(CHANNELS), cost(DELIVERIES)
    for name in ("b", "c"):
        planned(acme, made(api, name=name).json()["id"], name)

    assert (cost(CHANNELS), cost(DELIVERIES)) == one
