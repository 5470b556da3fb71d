"""What every kind of channel keeps to; a new kind passes here before anything else."""

import json
from typing import Any

import pytest
from django.conf import settings

from apps.core.kinds import config_form_fields, dump_config, is_secret_setting, load_config, parse_config, public_config
from apps.notifications.channels.base import ChannelType, DeliveryError, Message, Policy, Receipt, sample_message
from apps.notifications.channels.registry import CHANNEL_TYPES
from tests.peers.receiver import Receiver, Say, listening
from tests.peers.smtp import Mailbox

each_kind = pytest.mark.parametrize("kind", list(CHANNEL_TYPES), ids=CHANNEL_TYPES.kinds())


def pointed_at(kind: ChannelType[Any], receiver: Receiver) -> Any:
    """Return the sample configuration with its web address, if it has one, replaced by the receiver's."""
    values = dump_config(kind.sample())
    return load_config(kind.Config, {**values, **({"url": receiver.url("/services/a/b/c")} if "url" in values else {})})


@each_kind
def test_kind_is_presentable(kind: ChannelType[Any]) -> None:
    assert kind.kind.isidentifier()
    assert kind.label
    assert kind.help
    icons = (settings.BASE_DIR / "static/img/icons.txt").read_text(encoding="utf-8").split()
    assert kind.icon in icons


@each_kind
def test_sample_passes_its_own_validation_and_survives_storage(kind: ChannelType[Any]) -> None:
    sample = kind.sample()

    assert parse_config(kind.Config, json.loads(json.dumps(dump_config(sample)))) == sample
    assert load_config(kind.Config, dump_config(sample)) == sample


@each_kind
def test_secrets_never_show(kind: ChannelType[Any]) -> None:
    sample = kind.sample()
    shown = json.dumps(public_config(sample), ensure_ascii=False) + kind.address(sample)

    for name, value in dump_config(sample).items():
        if is_secret_setting(kind.Config, name) and isinstance(value, str):
            assert value not in shown


@each_kind
def test_every_setting_has_a_label(kind: ChannelType[Any]) -> None:
    assert all(field.label for field in config_form_fields(kind.Config).values())


@each_kind
def test_test_message_arrives_with_its_key(kind: ChannelType[Any], mailbox: Mailbox) -> None:
    with listening() as receiver:
        receipt = kind.deliver(
            pointed_at(kind, receiver), sample_message(), key="test:1", policy=Policy(allow_private=True)
        )

    assert isinstance(receipt, Receipt)
    keys = [heard.headers["idempotency-key"] for heard in receiver.heard]
    assert keys + [letter["Idempotency-Key"] for letter in mailbox.letters] == ["test:1"]


@each_kind
def test_refusal_comes_as_delivery_error_and_nothing_else(kind: ChannelType[Any], mailbox: Mailbox) -> None:
    mailbox.data_answer = "451 not now"
    with listening(Say(503, b"\xff\xfe not now")) as receiver, pytest.raises(DeliveryError) as caught:
        kind.deliver(pointed_at(kind, receiver), sample_message(), key="test:1", policy=Policy(allow_private=True))

    assert caught.value.permanent is False
    assert caught.value.message
    assert len(caught.value.code) <= 60
    assert len(caught.value.detail) <= 500


@each_kind
def test_hostile_message_arrives_too(kind: ChannelType[Any], mailbox: Mailbox) -> None:
    hostile = Message(title="</h1><!channel>\r\n%s{}" + "🔥" * 3_000, text="\u202e" + "<&>" * 9_000)
    with listening() as receiver:
        receipt = kind.deliver(pointed_at(kind, receiver), hostile, key="test:2", policy=Policy(allow_private=True))

    assert isinstance(receipt, Receipt)
