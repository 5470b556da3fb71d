"""Making, changing, switching off and testing channels."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy, gettext_noop

from apps.core.kinds import (
    MASK,
    Config,
    Text,
    config_form_fields,
    dump_config,
    load_config,
    public_config,
    split_config,
)
from apps.core.refusals import Refusal
from apps.core.secrets import seal, unseal
from apps.notifications.channels.base import ChannelType
from apps.notifications.channels.registry import CHANNEL_TYPES
from apps.notifications.domain.planning import cancel_open
from apps.notifications.models import Channel


class NameTaken(Refusal):
    """Another channel has that name."""

    message = gettext_lazy("Another channel has this name; choose a different one.")
    field = "name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a person or program says about a channel."""

    name: str
    config: Config
    is_default: bool = False
    is_enabled: bool = True


def _place(channel: Channel) -> str:
    return f"channel:{channel.id}"


def config_of(channel: Channel) -> Config:
    """Return the channel's settings with its secrets, for sending and for editing. Never show them."""
    secret = json.loads(unseal(channel.secrets, place=_place(channel))) if channel.secrets else {}
    config: Config = load_config(type_of(channel).Config, {**channel.config, **secret})
    return config


def type_of(channel: Channel) -> ChannelType[Any]:
    return CHANNEL_TYPES.get(channel.kind)


@dataclass(frozen=True, slots=True)
class ShownSetting:
    """A setting as people may read it."""

    label: Text
    value: str


def shown_settings(channel: Channel) -> list[ShownSetting]:
    """Return the channel's settings by label, secrets masked, empty ones left out."""
    config = config_of(channel)
    labels = {name: field.label for name, field in config_form_fields(type(config)).items()}
    shown = public_config(config)
    return [ShownSetting(labels[name] or name, _line(value)) for name, value in shown.items() if value not in ("", {})]


def _line(value: Any) -> str:
    if isinstance(value, dict):
        return "\n".join(f"{name}: {text}" for name, text in value.items())
    return str(value)


def merged_tables(given: Mapping[str, Any], stored: Config) -> tuple[dict[str, Any], Config]:
    """Prepare an edit of secret tables (extra headers) for `parse_config`, which only knows secret texts.

    A masked value stands for what is stored under its name; a table given empty is emptied.
    """
    ready, kept = dict(given), stored
    for name, old in dump_config(stored).items():
        table = given.get(name)
        if isinstance(old, dict) and isinstance(table, Mapping):
            ready[name] = {key: old.get(key, "") if MASK in str(text) else text for key, text in table.items()}
            kept = replace(kept, **{name: {}})
    return ready, kept


def _fill(channel: Channel, draft: Draft) -> None:
    channel.name, channel.is_default, channel.is_enabled = draft.name, draft.is_default, draft.is_enabled
    channel.config, secret = split_config(draft.config)
    channel.secrets = seal(json.dumps(secret), place=_place(channel)) if secret else ""
    channel.address = type_of(channel).address(draft.config)[:200]
    channel.disabled_reason = (
        "" if draft.is_enabled else channel.disabled_reason or gettext_noop("Switched off by hand.")
    )
    try:
        with transaction.atomic():
            channel.save()
    except IntegrityError as error:  # rival: the same name, written at the same moment
        raise NameTaken from error


def create_channel(*, kind: str, draft: Draft) -> Channel:
    """Keep a new channel; raise `NameTaken`."""
    channel = Channel(kind=CHANNEL_TYPES.get(kind).kind)
    _fill(channel, draft)
    return channel


@transaction.atomic
def update_channel(*, channel: Channel, draft: Draft) -> Channel:
    """Change a channel; switched off, it drops what still waits. Raise `NameTaken`."""
    _fill(channel, draft)
    if not channel.is_enabled:
        cancel_open([channel.id], reason=channel.disabled_reason)
    return channel


@transaction.atomic
def delete_channel(*, channel: Channel) -> None:
    """Delete a channel; what still waits is cancelled, and the log of what was sent stays."""
    cancel_open([channel.id], reason=gettext_noop("The channel was deleted."))
    channel.delete()


@transaction.atomic
def switch_off(*, channel: Channel, reason: str) -> None:
    """Stop using a channel whose receiver wants nothing any more, and say why on screen."""
    Channel.objects.filter(id=channel.id).update(is_enabled=False, disabled_reason=reason)
    cancel_open([channel.id], reason=reason)
