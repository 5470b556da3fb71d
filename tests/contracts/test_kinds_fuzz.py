"""Every setting of every kind over the API, one hostile value at a time beside the kind's sample: it is taken and can be shown
on the row's page and in its form, or refused by its name. A new kind, and a new setting, is tried by itself."""

import json
from collections.abc import Iterator
from itertools import cycle
from typing import Any, NamedTuple

import pytest
from django.forms import BooleanField, Field, IntegerField

from apps.accounts.models import User
from apps.core.kind_fields import StructuredField
from apps.core.kinds import ConfigErrors, config_form_fields, parse_config
from apps.tenants.models import Tenant
from tests.contracts.fuzzing import SLOT, broken, filled, forgotten, pages_of, tried
from tests.contracts.hostile import UNSTORABLE, some_of, values_for
from tests.contracts.test_doors import client_of
from tests.contracts.test_kinds import registries, sample_of
from tests.factories.api import make_api

pytestmark = pytest.mark.django_db

# Where rows of a list's kinds are made, and the app whose pages show them.
DOORS = {"check types": ("/api/v1/checks/", "checks"), "channel types": ("/api/v1/channels/", "notifications")}
CONFIGURED = [registry for registry in registries() if any(hasattr(entry, "Config") for entry in registry)]
ENTRIES = [
    pytest.param(*DOORS[registry.name], entry, id=entry.kind)
    for registry in CONFIGURED
    if registry.name in DOORS
    for entry in registry
]
SHAPES = ((BooleanField, "boolean"), (IntegerField, "integer"), (StructuredField, "array"))
WITHIN = ([SLOT], {"X": SLOT}, [{"name": SLOT}])
# Of settings that only go together, the other one is named: the one that is missing or in the way.
TOGETHER = {
    "client_key": "client_certificate",
    "client_certificate": "client_key",
    "password": "username",
    "username": "token",
    "warn_days": "fail_days",
    "max_loss_percent": "warn_loss_percent",
    "tag": "members",
    "filters_body": "success_keywords",
    "filters_subject": "success_keywords",
}
Settings = dict[str, Any]


def test_every_list_with_settings_has_its_door() -> None:
    assert {registry.name for registry in CONFIGURED} == set(DOORS)


def hostile_texts(field: Field, turn: int) -> Iterator[str]:
    """Return hostile values for a setting in JSON, and such as have them within."""
    is_structured = isinstance(field, StructuredField)
    shape = next((shape for kind, shape in SHAPES if isinstance(field, kind)), "string")
    for value in values_for(shape, turn, 8):
        if value not in UNSTORABLE:  # bodies with these are refused before any kind sees them
            yield from (filled(part, value) for part in (SLOT, *(WITHIN if is_structured else ())))


def refusal_of(entry: Any, settings: Settings) -> set[str]:
    """Return the settings that the kind itself refuses; whatever else it raises is a fault."""
    try:
        parse_config(entry.Config, settings)
    except ConfigErrors as error:
        return set(error.errors)
    return set()


class Sent(NamedTuple):
    """What a setting is given, as it stands in JSON, and what the kind says to it."""

    text: str
    refused: set[str]


def judged(entry: Any, sample: Settings, name: str, texts: Iterator[str]) -> tuple[list[Sent], list[Sent]]:
    """Return the hostile values of a setting that the kind takes beside its sample, and those that it refuses."""
    sent = [Sent(text, refusal_of(entry, {**sample, name: json.loads(text)})) for text in texts]
    return [one for one in sent if not one.refused], [one for one in sent if one.refused]


def piled(entry: Any, sample: Settings, taken: Settings) -> Settings:
    """Put all into one row that were taken one by one, but for what does not go together."""
    settings = sample
    for name, value in taken.items():
        if not refusal_of(entry, {**settings, name: value}):
            settings = {**settings, name: value}
    return settings


@pytest.mark.parametrize(("path", "app", "entry"), ENTRIES)
def test_one_hostile_setting_is_taken_and_shown_or_refused_by_name(
    path: str, app: str, entry: Any, acme: Tenant, owner: User
) -> None:
    api, client, sample, wrong = make_api(acme), client_of(owner), sample_of(entry), []
    new = {"name": "Hostile", "kind": entry.kind, "config": sample}
    first = tried(api, "post", path, json.dumps({**new, "name": "First"}))
    assert first.row, first.wrong
    doors, piles = cycle((("post", path), ("patch", f"{path}{first.row['id']}/"))), ({}, {})

    for turn, (name, field) in enumerate(config_form_fields(entry.Config).items()):
        taken, refused = judged(entry, sample, name, hostile_texts(field, turn))
        expected = {name, TOGETHER.get(name, name)}
        wrong += [f"{name} {one.text[:80]} names {one.refused}" for one in refused if not one.refused & expected]
        for one in [*some_of(refused, turn, 1), *some_of(taken, turn, 1)]:
            method, address = next(doors)
            body = {**new, "config": {**sample, name: SLOT}} if method == "post" else {"config": {name: SLOT}}
            with forgotten():
                outcome = tried(api, method, address, filled(body, one.text), one.refused)
            wrong += [f"{outcome.wrong}: {method} {name} {one.text[:200]}"] if outcome.wrong else []
        for pile, one in zip(piles, (*taken[:1], *taken[-1:]), strict=False):
            pile[name] = json.loads(one.text)
    for pile in piles:
        with forgotten():
            outcome = tried(api, "post", path, json.dumps({**new, "config": piled(entry, sample, pile)}))
            assert outcome.row, f"{outcome.wrong}: {pile}"
            pages = [page for page in pages_of(app, outcome.row["id"]) if outcome.row["id"] in page]
            wrong += [f"{page} of {pile}" for page in broken(client, pages)]

    assert wrong == []
