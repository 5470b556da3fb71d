"""Every kind of every list keeps the same promises."""

from collections.abc import Iterator
from dataclasses import fields
from importlib import import_module
from typing import Any

import pytest
from django.forms import Field
from django.utils.functional import Promise

from apps.core.kinds import Config, config_form_fields, dump_config, load_config, parse_config, public_config
from apps.core.registry import Registry
from tests.contracts.conftest import ROOT, own_models


def registries() -> Iterator[Registry[Any]]:
    """Return the lists, found by their place: ``apps/<app>/<kinds>/registry.py``."""
    for path in sorted((ROOT / "apps").glob("*/*/registry.py")):
        module = import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
        yield from (value for value in vars(module).values() if isinstance(value, Registry))


ENTRIES = [pytest.param(entry, id=f"{registry.name}: {entry.kind}") for registry in registries() for entry in registry]
CONFIGURED = [entry for entry in ENTRIES if hasattr(entry.values[0], "Config")]
WITHOUT_SETTINGS = {"importers": "an export says everything"}


def sample_of(entry: Any) -> dict[str, Any]:
    """Return the JSON of a kind's sample, whatever form it gives it in."""
    sample = entry.sample() if callable(entry.sample) else entry.sample
    return sample if isinstance(sample, dict) else dump_config(sample)


def test_there_are_lists() -> None:
    assert {"check types", "channel types"} <= {registry.name for registry in registries()}


def test_only_known_lists_have_kinds_without_settings() -> None:
    without = {registry.name for registry in registries() for entry in registry if not hasattr(entry, "Config")}

    assert without == set(WITHOUT_SETTINGS)


@pytest.mark.parametrize("entry", ENTRIES)
def test_kind_is_labelled_in_translatable_words(entry: Any) -> None:
    assert isinstance(entry.label, Promise)
    assert str(entry.label)


@pytest.mark.parametrize("entry", CONFIGURED)
def test_every_setting_has_a_label_and_a_form_field(entry: Any) -> None:
    made = config_form_fields(entry.Config)

    assert issubclass(entry.Config, Config)
    assert list(made) == [field.name for field in fields(entry.Config)]
    assert all(isinstance(field, Field) and str(field.label) for field in made.values())


@pytest.mark.parametrize("entry", CONFIGURED)
def test_setting_that_is_not_always_shown_waits_for_values_that_can_be_chosen(entry: Any) -> None:
    made: dict[str, Any] = config_form_fields(entry.Config)
    conditions = [field.shown_when.split("=") for field in made.values() if field.shown_when]

    for name, values in conditions:
        assert set(values.split(" ")) <= {value for value, _label in made[name].choices}


@pytest.mark.parametrize("entry", CONFIGURED)
def test_sample_is_valid_and_survives_being_stored(entry: Any) -> None:
    given = sample_of(entry)

    parsed = parse_config(entry.Config, given)

    assert load_config(entry.Config, dump_config(parsed)) == parsed
    assert parse_config(entry.Config, dump_config(parsed)) == parsed


@pytest.mark.parametrize("entry", CONFIGURED)
def test_secrets_never_show(entry: Any) -> None:
    given = sample_of(entry)
    parsed = parse_config(entry.Config, given)

    shown = public_config(parsed)

    for field in fields(entry.Config):
        value = getattr(parsed, field.name)
        if field.metadata["setting"].is_secret and isinstance(value, str) and value:
            assert shown[field.name] != value
            assert shown[field.name].startswith("••••")


@pytest.mark.parametrize("entry", ENTRIES)
def test_one_kind_has_one_file(entry: Any) -> None:
    assert type(entry).__module__.rsplit(".", 1)[1] == entry.kind or isinstance(entry, type)


def test_kinds_are_no_choices_of_a_column() -> None:
    kinds = {entry.kind for registry in registries() for entry in registry}

    listing = [
        str(field)
        for model in own_models()
        for field in model._meta.local_fields
        if field.choices and kinds & {value for value, _label in field.flatchoices}
    ]

    assert listing == []
