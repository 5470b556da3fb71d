"""One declaration gives a kind's form, its validation, what is stored and what may be shown."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from django import forms
from django.core.exceptions import ValidationError

from apps.core.kind_forms import KindForm
from apps.core.kinds import (
    Config,
    ConfigErrors,
    Widget,
    chosen_settings,
    config_form_fields,
    dump_config,
    lightened,
    load_config,
    parse_config,
    public_config,
    setting,
    split_config,
)


def refuse_odd(value: int) -> None:
    if value % 2:
        raise ValidationError("Give an even number.")


@dataclass(frozen=True, kw_only=True)
class Sample(Config):
    url: str = setting(label="Address", widget=Widget.URL, placeholder="https://", max_length=30)
    count: int = setting(4, label="Count", low=2, high=10, check=refuse_odd)
    is_loud: bool = setting(False, label="Loud")
    mode: str = setting("a", label="Mode", choices=(("a", "A"), ("b", "B")))
    headers: dict[str, str] = setting(dict, label="Headers", max_length=40)  # noqa: RUF009 - it makes a field
    token: str = setting("", label="Token", is_secret=True, widget=Widget.SECRET)

    def clean(self) -> None:
        if self.mode == "b" and self.is_loud:
            raise ValidationError({"mode": "Mode B is quiet."})


FULL = {
    "url": "https://x.example",
    "count": 6,
    "is_loud": True,
    "mode": "a",
    "headers": {"A": "b"},
    "token": "t0ken-of-length",
}


def errors_of(given: dict[str, Any]) -> dict[str, list[str]]:
    with pytest.raises(ConfigErrors) as caught:
        parse_config(Sample, given)
    return caught.value.errors


def test_defaults_fill_what_is_not_given() -> None:
    assert parse_config(Sample, {"url": "https://x.example"}) == Sample(url="https://x.example")


def test_stored_values_come_back_and_forgotten_settings_are_passed_over() -> None:
    config = parse_config(Sample, FULL)

    assert load_config(Sample, {**dump_config(config), "gone": 1}) == config


@pytest.mark.parametrize(
    ("given", "errors"),
    [
        ({}, {"url": ["This field is required."]}),
        ({**FULL, "nope": 1}, {"nope": ["There is no such setting here."]}),
        ({**FULL, "url": 5}, {"url": ["Give text in quotes."]}),
        ({**FULL, "url": ["x"]}, {"url": ["This has the wrong type."]}),
        ({**FULL, "url": "a\x00b"}, {"url": ["Null characters are not allowed."]}),
        ({**FULL, "url": "x" * 31}, {"url": ["Ensure this value has at most 30 characters (it has 31)."]}),
        ({**FULL, "count": True}, {"count": ["This has the wrong type."]}),
        ({**FULL, "count": 3}, {"count": ["Give an even number."]}),
        ({**FULL, "count": ""}, {"count": ["This field is required."]}),
        ({**FULL, "count": None}, {"count": ["This field is required."]}),
        ({**FULL, "mode": ""}, {"mode": ["This field is required."]}),
        (
            {**FULL, "url": "a\ud800b"},
            {"url": ["This has half of a character that takes two (a lone surrogate); remove it."]},
        ),
        (
            {**FULL, "headers": {"A": "\udfff"}},
            {"headers": ["This has half of a character that takes two (a lone surrogate); remove it."]},
        ),
        ({**FULL, "count": 12}, {"count": ["Ensure this value is less than or equal to 10."]}),
        ({**FULL, "is_loud": "perhaps"}, {"is_loud": ["Give true or false."]}),
        ({**FULL, "mode": "c"}, {"mode": ["Choose one of these: a, b."]}),
        ({**FULL, "mode": "b"}, {"mode": ["Mode B is quiet."]}),
        (
            {**FULL, "headers": "no colon"},
            {"headers": ["Write one “Name: value” pair a line; “no colon” has no colon."]},
        ),
        ({**FULL, "headers": {"A": 1}}, {"headers": ['Give an object of strings, such as {"Name": "value"}.']}),
        (
            {**FULL, "headers": {"A": "b\r\nC: d"}},
            {"headers": ["Names and values are single lines without control characters."]},
        ),
        ({**FULL, "headers": {"A": "b" * 40}}, {"headers": ["This is too long: 40 characters are the most."]}),
    ],
)
def test_wrong_setting_is_named(given: dict[str, Any], errors: dict[str, list[str]]) -> None:
    assert errors_of(given) == errors


def test_every_wrong_setting_is_named_at_once() -> None:
    assert set(errors_of({"count": 1, "mode": "c", "nope": 1})) == {"url", "count", "mode", "nope"}


def test_pairs_are_lines_in_a_form_and_an_object_over_the_api() -> None:
    made = config_form_fields(Sample)["headers"]

    assert made.clean("A: b\n\nC:d: e") == made.clean({"A": "b", "C": "d: e"}) == {"A": "b", "C": "d: e"}
    assert made.prepare_value({"A": "b", "C": "d"}) == "A: b\nC: d"


def test_form_fields_carry_labels_widgets_and_limits() -> None:
    made = config_form_fields(Sample)

    assert list(made) == ["url", "count", "is_loud", "mode", "headers", "token"]
    assert [made[name].required for name in made] == [True, False, False, False, False, False]
    assert made["url"].widget.attrs["placeholder"] == "https://"
    assert isinstance(made["token"].widget, forms.PasswordInput)


@pytest.mark.parametrize("kept", ["", "••••ngth", None])
def test_secret_left_alone_keeps_its_stored_value(kept: str | None) -> None:
    stored = parse_config(Sample, FULL)

    assert parse_config(Sample, {**FULL, "token": kept}, stored=stored).token == "t0ken-of-length"
    assert parse_config(Sample, {**FULL, "token": "new"}, stored=stored).token == "new"


def test_partial_change_keeps_the_rest() -> None:
    stored = parse_config(Sample, FULL)

    assert parse_config(Sample, {"count": 8}, stored=stored) == parse_config(Sample, {**FULL, "count": 8})


def test_secrets_are_masked_where_shown_and_split_off_where_kept() -> None:
    config = parse_config(Sample, FULL)

    assert public_config(config)["token"] == "••••ngth"
    assert public_config(parse_config(Sample, {**FULL, "token": "short"}))["token"] == "••••"
    assert split_config(config)[1] == {"token": "t0ken-of-length"}
    assert "token" not in split_config(config)[0]


def test_form_of_a_kind_gives_the_typed_configuration() -> None:
    form = KindForm({"config-url": "https://x.example", "config-count": "6", "config-mode": "a"}, config_class=Sample)

    assert form.is_valid(), form.errors
    assert form.parsed_config == Sample(url="https://x.example", count=6)


def test_form_of_a_kind_puts_errors_at_their_fields() -> None:
    given = {"config-url": "https://x.example", "config-count": "6", "config-mode": "b", "config-is_loud": "on"}

    assert KindForm(given, config_class=Sample).errors == {"config-mode": ["Mode B is quiet."]}


def test_form_never_shows_a_stored_secret() -> None:
    form = KindForm(config_class=Sample, stored=parse_config(Sample, FULL))

    assert "t0ken" not in form.as_p()
    assert form.fields["config-url"].initial == "https://x.example"


def test_setting_without_metadata_is_a_declaration_error() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Wrong(Config):
        url: str = field(default="", metadata={"setting": None})

    with pytest.raises(AssertionError):
        config_form_fields(Wrong)


def test_lightened_configuration_says_the_same_and_keeps_only_what_differs() -> None:
    full, plain = load_config(Sample, FULL), load_config(Sample, {"url": "https://x.example"})
    stored = dump_config(plain)

    light = lightened(plain)

    assert dump_config(light) == stored
    assert light == load_config(Sample, {"url": "https://x.example"})
    assert sorted(vars(light)) == ["headers", "url"]
    assert dump_config(lightened(full)) == FULL


def test_settings_that_were_chosen_are_told_from_those_left_as_usual() -> None:
    assert chosen_settings(Sample(url="https://x.example")) == {"url"}
    assert chosen_settings(Sample(url="", count=6, headers={"A": "b"}, mode="a")) == {"url", "count", "headers"}
