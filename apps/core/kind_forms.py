"""A form for something that comes in kinds: its own fields plus those of the kind's configuration."""

from typing import Any, Generic, TypeVar

from django import forms

from apps.core.kind_fields import FilledField
from apps.core.kinds import (
    Config,
    ConfigErrors,
    chosen_settings,
    config_form_fields,
    dump_config,
    is_secret_setting,
    parse_config,
)

PREFIX = "config-"
C = TypeVar("C", bound=Config)


class KindForm(forms.Form, Generic[C]):
    """Adds one ``config-…`` field per setting; after validation ``parsed_config`` is the typed configuration, and
    ``given_config`` what the form said of it.

    ``stored`` is the configuration being edited: its secrets are not shown, and an empty secret field keeps them.
    A setting that a form does not send at all keeps its stored value, or its default.
    """

    def __init__(self, *args: Any, config_class: type[C], stored: C | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._config_class, self._stored = config_class, stored
        self.parsed_config: C | None = None
        self.given_config: dict[str, Any] = {}
        shown = dump_config(stored) if stored else {}
        self._chosen = {PREFIX + name for name in chosen_settings(stored)} if stored else set()
        for name, field in config_form_fields(config_class).items():
            if field.widget.is_hidden:
                continue
            if name in shown:
                is_secret = is_secret_setting(config_class, name)
                field.initial = None if is_secret else shown[name]
                field.required = field.required and not is_secret
            if isinstance(field, FilledField):
                field.is_left_out = self._is_left_out(PREFIX + name, field)
            if condition := getattr(field, "shown_when", ""):
                field.shown_when = self.add_prefix(PREFIX + condition)  # type: ignore[attr-defined]
            self.fields[PREFIX + name] = field

    def _is_left_out(self, name: str, field: forms.Field) -> bool:
        return self.is_bound and field.widget.value_omitted_from_data(self.data, self.files, self.add_prefix(name))

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if any(name.startswith(PREFIX) for name in self.errors):
            return cleaned
        self.given_config = {
            name.removeprefix(PREFIX): value
            for name, value in cleaned.items()
            if name.startswith(PREFIX) and not self._is_left_out(name, self.fields[name])
        }
        try:
            self.parsed_config = parse_config(self._config_class, self.given_config, stored=self._stored)
        except ConfigErrors as error:
            self.add_config_errors(error)
        return cleaned

    def add_config_errors(self, error: ConfigErrors) -> None:
        """Say what is wrong with settings, each at its field."""
        for name, messages in error.errors.items():
            self.add_error(PREFIX + name if PREFIX + name in self.fields else None, messages)
