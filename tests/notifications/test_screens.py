"""Pages of channels and deliveries, as a member sees them."""

import re
from html import unescape
from typing import Any
from uuid import UUID

import pytest
from django.test import Client

from apps.core.tenancy import tenant_scope
from apps.notifications.channels.base import Message
from apps.notifications.channels.email import EmailConfig
from apps.notifications.channels.slack import SlackConfig
from apps.notifications.channels.webhook import WebhookConfig
from apps.notifications.domain.channels import Draft, config_of, create_channel
from apps.notifications.domain.planning import plan_delivery
from apps.notifications.enums import DeliveryState
from apps.notifications.models import Channel, Delivery, DeliveryAttempt
from apps.tenants.enums import Role
from apps.tenants.models import Tenant
from tests.factories import make_member
from tests.peers.receiver import Receiver, Say, listening

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
CHANNELS = "/t/acme/channels/"
DELIVERIES = "/t/acme/deliveries/"


@pytest.fixture
def editor(acme: Tenant) -> Client:
    return signed_in(acme, Role.EDITOR)


def signed_in(tenant: Tenant, role: Role) -> Client:
    client = Client()
    client.force_login(make_member(tenant, f"{role}@{tenant.slug}.example", role))
    return client


def make_channel(tenant: Tenant, name: str = "Ops", url: str = "https://hooks.example.com/in", **more: Any) -> Channel:
    with tenant_scope(tenant.id):
        draft = Draft(name=name, config=WebhookConfig(url=url, secret=SECRET, **more.pop("config", {})), **more)
        return create_channel(kind="webhook", draft=draft)


def plan(tenant: Tenant, channel: Channel, key: str = "alert:1", title: str = "api <b>is down</b>") -> Delivery:
    with tenant_scope(tenant.id):
        return plan_delivery(channel=channel, message=Message(title=title), key=key)


def texts(response: Any) -> str:
    """Return the page's words in one line."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", response.content.decode())).split())


def stored(tenant: Tenant, channel_id: UUID) -> Channel:
    with tenant_scope(tenant.id):
        return Channel.objects.get(id=channel_id)


# --- the list ----------------------------------------------------------------------------------------------------


def test_list_shows_each_channel_with_its_last_delivery(acme: Tenant, editor: Client, hints: list[str]) -> None:
    channel = make_channel(acme, is_default=True)
    make_channel(acme, "Quiet", is_enabled=False)
    plan(acme, channel)

    words = texts(editor.get(CHANNELS))

    assert "Ops Default Webhook · https://hooks.example.com/in On Waiting" in words
    assert "Quiet Webhook · https://hooks.example.com/in Off Switched off by hand. nothing yet" in words


def test_list_is_a_constant_number_of_queries(acme: Tenant, editor: Client, hints: list[str], query_count: Any) -> None:
    plan(acme, make_channel(acme))
    editor.get(CHANNELS)
    with query_count() as one:
        editor.get(CHANNELS)
    for name in ("a", "b"):
        plan(acme, make_channel(acme, name), key=name)

    with query_count() as three:
        editor.get(CHANNELS)

    assert len(three) == len(one)


def test_list_without_channels_says_what_to_do(acme: Tenant, editor: Client) -> None:
    assert "Nobody hears an alert yet" in texts(editor.get(CHANNELS))


def test_viewer_sees_but_may_not_change(acme: Tenant) -> None:
    channel = make_channel(acme)
    viewer = signed_in(acme, Role.VIEWER)

    page = viewer.get(CHANNELS)

    assert "Ops" in texts(page)
    assert "New channel" not in texts(page)
    assert "Send a test" not in texts(page)
    assert viewer.get(f"{CHANNELS}{channel.id}/").status_code == 200
    for path in ("new/", f"{channel.id}/edit/"):
        assert viewer.get(CHANNELS + path).status_code == 403
    for path in (f"{channel.id}/test/", f"{channel.id}/delete/"):
        assert viewer.post(CHANNELS + path).status_code == 403


def test_strangers_rows_do_not_exist(acme: Tenant, globex: Tenant, editor: Client, hints: list[str]) -> None:
    theirs = make_channel(globex, "Theirs")
    delivery = plan(globex, theirs)

    for path in (f"{theirs.id}/", f"{theirs.id}/edit/"):
        assert editor.get(CHANNELS + path).status_code == 404
    for path in (f"{theirs.id}/test/", f"{theirs.id}/delete/"):
        assert editor.post(CHANNELS + path).status_code == 404
    assert editor.get(f"{DELIVERIES}{delivery.id}/").status_code == 404
    assert editor.post(f"{DELIVERIES}{delivery.id}/resend/").status_code == 404
    assert "Theirs" not in texts(editor.get(DELIVERIES))
    assert editor.get("/t/globex/channels/").status_code == 404


# --- making and changing -----------------------------------------------------------------------------------------


def test_kinds_are_offered_first(editor: Client) -> None:
    page = editor.get(f"{CHANNELS}new/").content.decode()

    assert re.findall(r'href="\?kind=(\w+)"', page) == ["slack", "email", "webhook"]


def test_creating_slack_seals_the_address(acme: Tenant, editor: Client) -> None:
    url = "https://hooks.slack.com/services/T0/B0/very-secret-9876"
    form = {"name": "Ops on Slack", "config-url": url, "is_default": "on", "is_enabled": "on"}

    answer = editor.post(f"{CHANNELS}new/?kind=slack", form)

    with tenant_scope(acme.id):
        channel = Channel.objects.get(kind="slack")
        assert answer.headers["Location"] == f"{CHANNELS}{channel.id}/"
        assert (channel.name, channel.is_default, channel.is_enabled) == ("Ops on Slack", True, True)
        assert channel.config == {}
        assert "very-secret" not in channel.secrets
        assert config_of(channel) == SlackConfig(url=url)
    page = editor.get(answer.headers["Location"]).content.decode()
    assert "very-secret" not in page
    assert "••••9876" in page


def test_wrong_settings_come_back_with_words(editor: Client) -> None:
    answer = editor.post(f"{CHANNELS}new/?kind=slack", {"name": "", "config-url": "javascript:alert(1)"})

    assert answer.status_code == 422
    words = texts(answer)
    assert "This field is required." in words
    assert "Only addresses that begin with http:// or https:// can be used." in words


def test_name_of_another_channel_is_refused(acme: Tenant, editor: Client) -> None:
    make_channel(acme, "Ops")

    answer = editor.post(f"{CHANNELS}new/?kind=email", {"name": "Ops", "config-address": "a@acme.example"})

    assert answer.status_code == 422
    assert "Another channel has this name; choose a different one." in texts(answer)


def test_signing_secret_is_shown_while_creating_and_never_again(acme: Tenant, editor: Client) -> None:
    page = editor.get(f"{CHANNELS}new/?kind=webhook").content.decode()
    (secret,) = re.findall(r'value="(whsec_[^"]+)"', page)

    form = {"name": "Hook", "config-url": "https://hooks.example.com/in", "config-secret": unescape(secret)}
    location = editor.post(f"{CHANNELS}new/?kind=webhook", form).headers["Location"]

    with tenant_scope(acme.id):
        assert config_of(Channel.objects.get(kind="webhook")).secret == unescape(secret)  # type: ignore[attr-defined]
    for path in (location, f"{location}edit/"):
        assert "whsec_" not in editor.get(path).content.decode().replace("Write whsec_", "")


def test_editing_with_empty_secrets_keeps_them(acme: Tenant, editor: Client) -> None:
    channel = make_channel(acme, config={"headers": {"Authorization": "Bearer top-secret-token"}})
    page = editor.get(f"{CHANNELS}{channel.id}/edit/").content.decode()
    assert "top-secret" not in page
    assert "Authorization: ••••oken" in page

    form = {"name": "Ops 2", "config-url": "https://hooks.example.com/new", "config-secret": "", "is_enabled": "on"}
    headers = "Authorization: ••••oken\nX-Team: ops"
    answer = editor.post(f"{CHANNELS}{channel.id}/edit/", {**form, "config-headers": headers})

    assert answer.status_code == 302
    changed = stored(acme, channel.id)
    assert changed.name == "Ops 2"
    assert config_of(changed) == WebhookConfig(
        url="https://hooks.example.com/new",
        secret=SECRET,
        headers={"Authorization": "Bearer top-secret-token", "X-Team": "ops"},
    )


def test_editing_with_the_headers_emptied_empties_them(acme: Tenant, editor: Client) -> None:
    channel = make_channel(acme, config={"headers": {"Authorization": "Bearer top-secret-token"}})

    form = {"name": "Ops", "config-url": "https://hooks.example.com/in", "config-secret": "", "config-headers": ""}
    editor.post(f"{CHANNELS}{channel.id}/edit/", form)

    assert config_of(stored(acme, channel.id)) == WebhookConfig(url="https://hooks.example.com/in", secret=SECRET)


def test_switching_off_cancels_what_waits(acme: Tenant, editor: Client, hints: list[str]) -> None:
    channel = make_channel(acme)
    delivery = plan(acme, channel)

    editor.post(f"{CHANNELS}{channel.id}/edit/", {"name": "Ops", "config-url": "https://hooks.example.com/in"})

    assert stored(acme, channel.id).disabled_reason == "Switched off by hand."
    with tenant_scope(acme.id):
        delivery.refresh_from_db()
    assert (delivery.state, delivery.last_error) == (DeliveryState.CANCELLED, "Switched off by hand.")
    assert "This channel is off" in texts(editor.get(f"{CHANNELS}{channel.id}/"))


def test_deleting_leaves_the_log(acme: Tenant, editor: Client, hints: list[str]) -> None:
    channel = make_channel(acme)
    plan(acme, channel)

    answer = editor.post(f"{CHANNELS}{channel.id}/delete/", follow=True)

    assert "Ops was deleted." in texts(answer)
    words = texts(editor.get(DELIVERIES))
    assert "api <b>is down</b> The channel was deleted. Cancelled Ops (deleted)" in words


# --- testing -----------------------------------------------------------------------------------------------------


@pytest.fixture
def receiver() -> Any:
    with listening() as made:
        yield made


def test_test_arrives_and_says_so(acme: Tenant, editor: Client, receiver: Receiver) -> None:
    channel = make_channel(acme, url=receiver.url())

    answer = editor.post(f"{CHANNELS}{channel.id}/test/", headers={"HX-Request": "true"})

    assert texts(answer) == "The test through Ops arrived The receiver said: ok"
    (heard,) = receiver.heard
    assert heard.headers["webhook-id"].startswith("test:")
    with tenant_scope(acme.id):
        delivery = Delivery.objects.get()
        assert (delivery.state, delivery.subject_kind, delivery.key) == ("sent", "test", heard.headers["webhook-id"])
        assert DeliveryAttempt.objects.get().detail == "ok"


def test_test_that_fails_says_how_to_mend_it_and_is_not_repeated(
    acme: Tenant, editor: Client, receiver: Receiver
) -> None:
    receiver.script = lambda _number, _heard: Say(302, b"", {"Location": "https://elsewhere.example/"})
    channel = make_channel(acme, url=receiver.url())

    answer = editor.post(f"{CHANNELS}{channel.id}/test/", headers={"HX-Request": "true"})

    assert texts(answer) == (
        "The test through Ops did not arrive The receiver sent a redirect (status 302), which is never followed. "
        "Enter the address it leads to."
    )
    with tenant_scope(acme.id):
        assert Delivery.objects.get().state == DeliveryState.FAILED


def test_test_without_htmx_goes_back_with_a_message(acme: Tenant, editor: Client, receiver: Receiver) -> None:
    channel = make_channel(acme, url=receiver.url())

    answer = editor.post(f"{CHANNELS}{channel.id}/test/", follow=True)

    assert answer.redirect_chain == [(f"{CHANNELS}{channel.id}/", 302)]
    assert "The receiver said: ok" in texts(answer)


def test_tests_in_a_row_are_stopped(acme: Tenant, editor: Client, receiver: Receiver) -> None:
    channel = make_channel(acme, url=receiver.url())

    answers = [editor.post(f"{CHANNELS}{channel.id}/test/", headers={"HX-Request": "true"}) for _test in range(11)]

    assert texts(answers[-1]) == (
        "The test through Ops did not arrive Too many tests in a short time. Wait a minute, then try again."
    )
    assert len(receiver.heard) == 10


# --- deliveries --------------------------------------------------------------------------------------------------


def test_deliveries_filter_by_state_and_channel(acme: Tenant, editor: Client, hints: list[str]) -> None:
    ops, dev = make_channel(acme, "Ops"), make_channel(acme, "Dev")
    plan(acme, ops, "a", "first")
    plan(acme, dev, "b", "second")
    with tenant_scope(acme.id):
        Delivery.objects.filter(key="b").update(state=DeliveryState.FAILED, last_error="no <way>")

    def shown(query: str) -> list[str]:
        return re.findall(
            r'<a href="/t/acme/deliveries/[^"]+">(\w+)</a>', editor.get(DELIVERIES + query).content.decode()
        )

    assert shown("") == ["second", "first"]
    assert shown("?state=failed") == ["second"]
    assert shown(f"?channel={ops.id}") == ["first"]
    assert shown(f"?channel={ops.id}&state=failed") == []
    assert shown("?state=nonsense&channel=nonsense") == ["second", "first"]
    assert "Nothing matches" in texts(editor.get(DELIVERIES + "?state=sent"))


def test_delivery_list_is_a_constant_number_of_queries(
    acme: Tenant, editor: Client, hints: list[str], query_count: Any
) -> None:
    channel = make_channel(acme)
    plan(acme, channel)
    editor.get(DELIVERIES)
    with query_count() as one:
        editor.get(DELIVERIES)
    for key in ("b", "c"):
        plan(acme, channel, key)

    with query_count() as three:
        editor.get(DELIVERIES)

    assert len(three) == len(one)


def test_delivery_shows_message_tries_and_key(acme: Tenant, editor: Client, hints: list[str]) -> None:
    delivery = plan(acme, make_channel(acme), "alert:77")
    with tenant_scope(acme.id):
        DeliveryAttempt.objects.create(
            delivery=delivery, number=1, at=delivery.created_at, is_ok=False, code="http-500", status_code=500,
            detail="<oops>", duration_ms=123,
        )  # fmt: skip

    page = editor.get(f"{DELIVERIES}{delivery.id}/")

    words = texts(page)
    assert "api <b>is down</b>" in words
    assert "Failed http-500 500 123 ms <oops>" in words
    assert "alert:77" in words
    assert b"<b>is down" not in page.content
    assert "Send again" not in words


def test_failed_delivery_can_be_sent_again_once(acme: Tenant, editor: Client, hints: list[str]) -> None:
    delivery = plan(acme, make_channel(acme))
    with tenant_scope(acme.id):
        Delivery.objects.update(state=DeliveryState.FAILED)
    assert "Send again" in texts(editor.get(f"{DELIVERIES}{delivery.id}/"))

    first = editor.post(f"{DELIVERIES}{delivery.id}/resend/", follow=True)
    second = editor.post(f"{DELIVERIES}{delivery.id}/resend/", follow=True)

    assert "It goes out again now." in texts(first)
    assert "This delivery is on its way already." in texts(second)


def test_email_channel_can_be_made(acme: Tenant, editor: Client) -> None:
    form = {"name": "Mail", "config-address": "ops@acme.example", "is_enabled": "on"}

    editor.post(f"{CHANNELS}new/?kind=email", form)

    with tenant_scope(acme.id):
        channel = Channel.objects.get(kind="email")
        assert (channel.address, channel.config, channel.secrets) == (
            "ops@acme.example",
            {"address": "ops@acme.example"},
            "",
        )
        assert config_of(channel) == EmailConfig(address="ops@acme.example")
