"""Typed configuration of a kind: one frozen dataclass gives the form, the API's validation, the stored JSON and the docs."""

import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar, get_type_hints

from django import forms
from django.core.exceptions import ValidationError
from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from apps.core.kind_fields import ChosenField, LinesField, NumberField, ObjectsField, PairsField, StructuredField

Text = str | Promise
MASK = "••••"


class ConfigErrors(ValueError):
    """The given configuration is wrong; ``errors`` maps each field to its messages."""

    def __init__(self, errors: dict[str, list[str]]) -> None:
        super().__init__(errors)
        self.errors = errors


class Widget(StrEnum):
    """How a form shows a setting."""

    LINE = "line"
    AREA = "area"
    URL = "url"
    EMAIL = "email"
    SECRET = "secret"  # noqa: S105 - a widget's name
    CODE = "code"
    HIDDEN = "hidden"  # not in forms at all: the product itself fills it in, or the API


@dataclass(frozen=True, slots=True)
class Setting:
    """What people see of one field of a configuration, and the rules it keeps."""

    label: Text
    help: Text = ""
    is_secret: bool = False
    widget: Widget = Widget.LINE
    choices: tuple[tuple[str, Text], ...] = ()
    low: int | None = None
    high: int | None = None
    max_length: int = 2_000
    is_required: bool = False
    placeholder: str = ""
    section: Text = ""  # under which title a form shows it; empty for the usual one
    shown_when: str = ""  # a form shows it only then: another setting's name, "=", its values separated by spaces
    check: Callable[[Any], None] | None = None  # raises ValidationError


def setting(default: Any = MISSING, **options: Any) -> Any:
    """Declare a field of a `Config`: a dataclass field that carries its `Setting`.

    ``default`` missing means required; mutable defaults are given as a factory such as ``dict``.
    """
    options["is_required"] = default is MISSING
    metadata = {"setting": Setting(**options)}
    if callable(default):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Base of every kind's configuration. Fields are declared with `setting`.

    Their types: str, int, bool, dict[str, str], list[str], or list[dict[str, Any]] for JSON objects.
    """

    def clean(self) -> None:
        """Check rules between fields; raise `ValidationError` with a dict of field to message."""


C = TypeVar("C", bound=Config)


def unshown_settings(config: type[Config]) -> list[str]:
    """Return the settings that no form shows, since the product fills them in."""
    return [entry.name for entry in fields(config) if _setting_of(entry).widget == Widget.HIDDEN]


def _setting_of(entry: Field[Any]) -> Setting:
    found = entry.metadata["setting"]
    assert isinstance(found, Setting)  # noqa: S101 - a declaration error, met by the contract test
    return found


def number_bounds(config: type[Config]) -> dict[str, tuple[int | None, int | None]]:
    """Return the lowest and highest value of each setting that has such bounds."""
    found = {entry.name: (_setting_of(entry).low, _setting_of(entry).high) for entry in fields(config)}
    return {name: bounds for name, bounds in found.items() if bounds != (None, None)}


WIDGETS: dict[Widget, Callable[[], forms.Widget]] = {
    Widget.LINE: forms.TextInput,
    Widget.AREA: lambda: forms.Textarea(attrs={"rows": 4}),
    Widget.URL: forms.URLInput,
    Widget.EMAIL: forms.EmailInput,
    Widget.SECRET: lambda: forms.PasswordInput(attrs={"autocomplete": "off"}),
    Widget.CODE: lambda: _code_area(10),
    Widget.HIDDEN: forms.HiddenInput,
}
STRUCTURED_FIELDS: tuple[tuple[Any, type[StructuredField], Callable[[], forms.Widget]], ...] = (
    (dict[str, str], PairsField, lambda: forms.Textarea(attrs={"rows": 3})),
    (list[str], LinesField, lambda: _code_area(4)),
    (list[dict[str, Any]], ObjectsField, lambda: _code_area(14)),
)


def _code_area(rows: int) -> forms.Textarea:
    return forms.Textarea(
        attrs={"rows": rows, "class": "font-monospace", "spellcheck": "false", "autocapitalize": "off"}
    )


def _form_field(entry: Field[Any], python_type: Any) -> forms.Field:
    given = _setting_of(entry)
    common: dict[str, Any] = {"label": given.label, "help_text": given.help, "required": given.is_required}
    if entry.default is not MISSING:
        common["initial"] = entry.default
    if given.check:
        common["validators"] = [given.check]
    if python_type is bool:
        return forms.BooleanField(**{**common, "required": False})
    if python_type is int:
        return NumberField(min_value=given.low, max_value=given.high, **common)
    if given.choices:
        may_be_empty = any(value == "" for value, _label in given.choices)
        known = ", ".join(value for value, _label in given.choices if value)
        common["error_messages"] = {"invalid_choice": format_lazy(_("Choose one of these: {known}."), known=known)}
        return (forms.ChoiceField if may_be_empty else ChosenField)(choices=given.choices, **common)
    common["max_length"] = given.max_length
    for declared, structured, widget in STRUCTURED_FIELDS:
        if python_type == declared:
            return structured(widget=widget(), **common)
    return forms.CharField(widget=WIDGETS[given.widget](), **common)


def config_form_fields(config: type[Config]) -> dict[str, forms.Field]:
    """Return one Django form field per setting, in order; each knows its ``section`` and when it is to be ``shown_when``."""
    hints = get_type_hints(config)
    made = {entry.name: _form_field(entry, hints[entry.name]) for entry in fields(config)}
    for entry in fields(config):
        given = _setting_of(entry)
        made[entry.name].section = given.section  # type: ignore[attr-defined]
        made[entry.name].shown_when = given.shown_when  # type: ignore[attr-defined]
        if given.placeholder:
            made[entry.name].widget.attrs["placeholder"] = given.placeholder
    return made


@cache
def _judges(config: type[Config]) -> dict[str, forms.Field]:
    """The same fields, made once: judging values changes nothing in them, and a document may hold thousands of configs."""
    return config_form_fields(config)


def _messages(error: ValidationError) -> list[str]:
    return [str(message) for message in error.messages]


def _is_empty_secret(entry: Field[Any], value: Any) -> bool:
    """Tell an untouched secret input (empty, or the mask shown back) from a new value."""
    if not _setting_of(entry).is_secret:
        return False
    return not value or MASK in (json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else value)


def parse_config(config: type[C], given: Mapping[str, Any], *, stored: C | None = None) -> C:
    """Return the validated configuration; a secret left empty keeps its ``stored`` value.

    Raises `ConfigErrors` with every wrong or unknown field at once.
    """
    form_fields, values = _judges(config), {}  # type: ignore[arg-type]  # mypy: a class of its own type is not hashable
    errors: dict[str, list[str]] = {
        name: [str(_("There is no such setting here."))] for name in given if name not in form_fields
    }
    for entry in fields(config):
        raw = given.get(entry.name, MISSING)
        if stored is not None and (raw is MISSING or _is_empty_secret(entry, raw)):
            values[entry.name] = getattr(stored, entry.name)
            continue
        if raw is MISSING and not _setting_of(entry).is_required:
            continue
        try:
            values[entry.name] = _cleaned(form_fields[entry.name], None if raw is MISSING else raw)
        except ValidationError as error:
            errors[entry.name] = _messages(error)
    if errors:
        raise ConfigErrors(errors)
    made = config(**values)
    try:
        made.clean()
    except ValidationError as error:
        raise ConfigErrors(
            {name: [str(text) for text in texts] for name, texts in error.message_dict.items()}
        ) from error
    return made


def _cleaned(form_field: forms.Field, raw: Any) -> Any:
    """Clean one value; JSON's own types are taken strictly, so that ``"url": 5`` is an error and not ``"5"``."""
    if isinstance(form_field, forms.BooleanField):
        if raw not in (True, False, None, "", "on", "true", "false", "True", "False"):
            raise ValidationError(_("Give true or false."))
        return form_field.clean(raw)
    if isinstance(raw, bool) or (isinstance(raw, list | dict | float) and not isinstance(form_field, StructuredField)):
        raise ValidationError(_("This has the wrong type."))
    if isinstance(raw, int) and not isinstance(form_field, forms.IntegerField):
        raise ValidationError(_("Give text in quotes."))
    _refuse_unstorable(raw)
    cleaned = form_field.clean(raw)
    _refuse_unstorable(cleaned)  # what stood escaped in a JSON text
    return cleaned


def _refuse_unstorable(given: Any) -> None:
    """PostgreSQL cannot keep null characters or lone surrogates."""
    left = [given]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            left += [*value.keys(), *value.values()]
        elif isinstance(value, list):
            left += value
        elif isinstance(value, str) and "\x00" in value:
            raise ValidationError(_("Null characters are not allowed."))
        elif isinstance(value, str) and any("\ud800" <= sign <= "\udfff" for sign in value):
            raise ValidationError(_("This has half of a character that takes two (a lone surrogate); remove it."))


def chosen_settings(config: Config) -> set[str]:
    """Return the names of the settings that say something else than they do when they are left out."""
    usual = {
        entry.name: entry.default_factory() if entry.default_factory is not MISSING else entry.default
        for entry in fields(config)
    }
    return {name for name, value in usual.items() if getattr(config, name) != value}


def dump_config(config: Config) -> dict[str, Any]:
    """Return plain JSON values, secrets in the clear: for sealing, never for showing."""
    return {entry.name: getattr(config, entry.name) for entry in fields(config)}


def load_config(config: type[C], stored: Mapping[str, Any]) -> C:
    """Rebuild a configuration from `dump_config`; settings that no longer exist are passed over."""
    known = {entry.name for entry in fields(config)}
    return config(**{name: value for name, value in stored.items() if name in known})


_NOTHING: dict[type, Any] = {dict: {}, list: []}


def lightened(config: C) -> C:
    """Return ``config`` itself, without what its class says anyway: for those who hold thousands of them.

    Most settings are at their defaults, which then come from the class; empty ones are one object for all.
    """
    own = {
        name: _NOTHING[type(value)] if type(value) in _NOTHING and not value else value
        for name, value in vars(config).items()
        if getattr(type(config), name, ...) != value
    }
    object.__setattr__(config, "__dict__", own)
    return config


def _masked(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _masked(text) for name, text in value.items()}
    if isinstance(value, list):
        return [_masked(part) for part in value]
    if not isinstance(value, str):
        return value and MASK
    return f"{MASK}{value[-4:] if len(value) >= 12 else ''}" if value else value


def public_config(config: Config) -> dict[str, Any]:
    """Return what may be shown: secrets become a mask with the last four characters of a long one."""
    return {
        entry.name: _masked(getattr(config, entry.name))
        if _setting_of(entry).is_secret
        else getattr(config, entry.name)
        for entry in fields(config)
    }


def split_config(config: Config) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the settings that may lie open and the secret ones, for keeping them apart."""
    values = dump_config(config)
    hidden = {entry.name: values.pop(entry.name) for entry in fields(config) if _setting_of(entry).is_secret}
    return values, {name: value for name, value in hidden.items() if value}


def is_secret_setting(config: type[Config], name: str) -> bool:
    """Tell whether a setting is never shown back."""
    return any(entry.name == name and _setting_of(entry).is_secret for entry in fields(config))
