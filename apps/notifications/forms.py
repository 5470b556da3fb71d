"""What people say of a channel; nothing is written here."""

from dataclasses import MISSING, fields
from typing import Any

from django import forms
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from apps.core.kind_forms import PREFIX, KindForm
from apps.core.kinds import Config, dump_config, is_secret_setting, public_config
from apps.notifications.domain.channels import Draft, merged_tables
from apps.notifications.models import Channel


class FieldGroup:
    """Fields that belong together on screen."""

    def __init__(self, title: str | Promise, text: str | Promise, shown: list[forms.BoundField]) -> None:
        self.title = title
        self.text = text
        self.fields = shown
        self.is_folded = False


class ChannelForm(KindForm[Config]):
    """Create or change a channel of one kind."""

    name = forms.CharField(
        label=_("Name"), max_length=100, help_text=_("As your team calls it, such as “Ops on Slack”.")
    )
    is_default = forms.BooleanField(
        label=_("Default channel"),
        required=False,
        help_text=_("Alerts whose rule names no channel go to every default channel."),
    )
    is_enabled = forms.BooleanField(
        label=_("Switched on"),
        required=False,
        initial=True,
        help_text=_("Nothing is sent through a channel that is off."),
    )

    def __init__(
        self,
        *args: Any,
        config_class: type[Config],
        channel: Channel | None = None,
        stored: Config | None = None,
        **kwargs: Any,
    ) -> None:
        if channel:
            shown = {name: getattr(channel, name) for name in ("name", "is_default", "is_enabled")}
            kwargs["initial"] = {**shown, **kwargs.get("initial", {})}
        super().__init__(*args, config_class=config_class, stored=stored, **kwargs)
        if stored:
            self._show_masks(stored)
        else:
            self._show_made_secrets(config_class)

    def _show_masks(self, stored: Config) -> None:
        """Say of each secret that there is one: texts behind an empty field, tables with masked values."""
        for name, mask in public_config(stored).items():
            field = self.fields[PREFIX + name]
            if not is_secret_setting(type(stored), name):
                continue
            if isinstance(mask, dict):
                field.initial = mask
            elif mask:
                field.widget.attrs["placeholder"] = mask

    def _show_made_secrets(self, config_class: type[Config]) -> None:
        """Show a secret that we make ourselves this once, so that it can be copied to the other side."""
        for entry in fields(config_class):
            widget = self.fields[PREFIX + entry.name].widget
            if entry.default_factory is not MISSING and isinstance(widget, forms.PasswordInput):
                self.fields[PREFIX + entry.name].initial = entry.default_factory
                widget.render_value = True

    def clean(self) -> dict[str, Any]:
        if self._stored is not None:
            given = {name: self.cleaned_data.get(PREFIX + name) for name in dump_config(self._stored)}
            merged, self._stored = merged_tables(given, self._stored)
            self.cleaned_data.update(
                {PREFIX + name: value for name, value in merged.items() if isinstance(value, dict)}
            )
        return super().clean()

    def draft(self) -> Draft:
        """Return what was said, validated."""
        if self.parsed_config is None:
            raise ValueError("validate the form first")
        own = {name: self.cleaned_data[name] for name in ("name", "is_default", "is_enabled")}
        return Draft(config=self.parsed_config, **own)

    @property
    def groups(self) -> list[FieldGroup]:
        """Return the fields as the page shows them."""
        settings = [self[name] for name in self.fields if name.startswith(PREFIX)]
        return [
            FieldGroup(_("Where it goes"), "", [self["name"], *settings]),
            FieldGroup(_("When it is used"), "", [self["is_default"], self["is_enabled"]]),
        ]
