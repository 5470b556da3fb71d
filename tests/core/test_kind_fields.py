"""Settings that are lists: lines and JSON objects, in forms and over the API."""

from dataclasses import dataclass
from typing import Any

import pytest
from django import forms
from django.core.exceptions import ValidationError

from apps.core.kind_forms import KindForm
from apps.core.kinds import (
    Config,
    ConfigErrors,
    Widget,
    config_form_fields,
    dump_config,
    load_config,
    parse_config,
    public_config,
    setting,
)


def refuse_bad(lines: list[str]) -> None:
    if "bad" in lines:
        raise ValidationError("Take “bad” out.")


def ask_for_names(steps: list[dict[str, Any]]) -> None:
    if not all("name" in step for step in steps):
        raise ValidationError("Name each step.")


@dataclass(frozen=True, kw_only=True)
class Listed(Config):
    lines: list[str] = setting(list, label="Lines", max_length=60, check=refuse_bad)  # noqa: RUF009 - it makes a field
    steps: list[dict[str, Any]] = setting(  # noqa: RUF009 - it makes a field
        list, label="Steps", max_length=600, check=ask_for_names
    )
    keys: list[str] = setting(list, label="Keys", is_secret=True)  # noqa: RUF009 - it makes a field
    schema: str = setting("", label="Schema", widget=Widget.CODE)
    mode: str = setting("a", label="Mode", choices=(("a", "A"), ("b", "B")))
    count: int = setting(4, label="Count", low=2, high=10)


GIVEN = {"lines": ["one", "two: 2"], "steps": [{"name": "in", "deep": {"a": [1, 2.5, None, True]}}]}


def error_of(name: str, value: Any) -> list[str]:
    with pytest.raises(ConfigErrors) as caught:
        parse_config(Listed, {name: value})
    assert list(caught.value.errors) == [name]
    return caught.value.errors[name]


def test_lists_survive_being_stored() -> None:
    config = parse_config(Listed, GIVEN)

    assert (config.lines, config.steps) == (GIVEN["lines"], GIVEN["steps"])
    assert load_config(Listed, dump_config(config)) == config
    assert parse_config(Listed, {}) == Listed()


def test_form_and_api_say_the_same() -> None:
    typed = {"lines": "  one\r\n\r\ntwo: 2\n", "steps": '[{"name": "in", "deep": {"a": [1, 2.5, null, true]}}]'}

    assert parse_config(Listed, typed) == parse_config(Listed, GIVEN)
    assert parse_config(Listed, {"lines": "", "steps": " "}) == Listed()
    assert parse_config(Listed, {"lines": None, "steps": None}) == Listed()


def test_form_shows_what_it_takes_back() -> None:
    made = config_form_fields(Listed)
    shown = {name: made[name].prepare_value(value) for name, value in GIVEN.items()}

    assert shown["lines"] == "one\ntwo: 2"
    assert parse_config(Listed, shown) == parse_config(Listed, GIVEN)
    assert made["steps"].prepare_value([]) == ""
    assert all(isinstance(made[name].widget, forms.Textarea) for name in ("lines", "steps", "schema"))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (5, "Give text in quotes."),
        ({"a": "b"}, "Give an array of texts, such as [“one”, “two”]."),
        (["one", 2], "Give an array of texts, such as [“one”, “two”]."),
        (["a\nb"], "Each text is a single line; “a\nb” has a line break."),
        (["a\x00"], "Null characters are not allowed."),
        (["x" * 60], "This is too long: 60 characters are the most."),
        ("\n" * 501, "These are too many: 500 lines are the most."),
        (["bad"], "Take “bad” out."),
    ],
)
def test_wrong_lines_are_named(value: Any, message: str) -> None:
    assert error_of("lines", value) == [message]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"name": "x"}, 'Give an array of objects, such as [{"name": "value"}].'),
        (["x"], 'Give an array of objects, such as [{"name": "value"}].'),
        ("{", "This is not JSON (line 1, column 2: Expecting property name enclosed in double quotes)."),
        ("[" * 2_000, "This is nested too deeply: 16 levels are the most."),
        ('[{"name": ' + "[" * 20 + "]" * 20 + "}]", "This is nested too deeply: 16 levels are the most."),
        ('[{"name": NaN}]', "This has a number that is too large, or none at all (NaN, Infinity)."),
        ('[{"name": 1e999}]', "This has a number that is too large, or none at all (NaN, Infinity)."),
        ([{"name": 10**40}], "This has a number that is too large, or none at all (NaN, Infinity)."),
        ([{"name": "\x00"}], "Null characters are not allowed."),
        ('[{"name": "\\ud800"}]', "This has half of a character that takes two (a lone surrogate); remove it."),
        ([{"name": "x" * 600}], "This is too long: 600 characters are the most."),
        ("[" + " " * 2_500 + "]", "This is too long."),
        ([{}], "Name each step."),
    ],
)
def test_wrong_objects_are_named(value: Any, message: str) -> None:
    assert error_of("steps", value) == [message]


def test_secret_lines_are_masked_one_by_one() -> None:
    config = parse_config(Listed, {"keys": ["a-long-secret-key", "short"]})

    assert public_config(config)["keys"] == ["••••-key", "••••"]


def test_setting_that_a_form_leaves_out_keeps_its_value() -> None:
    stored = parse_config(Listed, {**GIVEN, "mode": "b", "count": 7})
    form = KindForm({"config-lines": "three"}, config_class=Listed, stored=stored)

    assert form.is_valid(), form.errors
    assert form.parsed_config == parse_config(Listed, {**GIVEN, "lines": ["three"], "mode": "b", "count": 7})


def test_setting_that_a_form_sends_empty_is_an_error_where_nothing_is_no_value() -> None:
    form = KindForm({"config-mode": "", "config-count": ""}, config_class=Listed)

    assert not form.is_valid()
    assert list(form.errors) == ["config-mode", "config-count"]
