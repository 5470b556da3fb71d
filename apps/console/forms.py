"""What the operator may say of a tenant's plan; validated, written by the domain."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from apps.plans.catalogue import LIMITS, PLANS, BadOverride, Limit, with_overrides
from apps.plans.domain.plans import Standing

PREFIX = "limit-"
ANY_NUMBER = "*"


class OverrideField(forms.CharField):
    """A number, `*` for any number, or nothing: as the plan has it."""

    def __init__(self, limit: Limit) -> None:
        super().__init__(label=str(limit.label), required=False, max_length=9, help_text=str(limit.help))
        self.widget.attrs |= {"inputmode": "numeric", "placeholder": str(_("as the plan has it"))}
        self.unit = limit.unit  # read by components/form_field.html

    def clean(self, value: Any) -> Any:
        text = super().clean(value).strip()
        if text == ANY_NUMBER:
            return None
        if text and not text.isdigit():
            raise ValidationError(_("Give a whole number, * for any number, or nothing for what the plan has."))
        return int(text) if text else ""


class SwitchField(forms.ChoiceField):
    """Yes, no, or as the plan has it."""

    VALUES: Mapping[str, Any] = {"": "", "yes": True, "no": False}

    def __init__(self, limit: Limit) -> None:
        choices = (("", _("As the plan has it")), ("yes", _("Yes")), ("no", _("No")))
        super().__init__(label=str(limit.label), required=False, choices=choices, help_text=str(limit.help))

    def clean(self, value: Any) -> Any:
        return self.VALUES[super().clean(value)]


class PlanForm(forms.Form):
    """A tenant's plan and its own deal."""

    plan = forms.ChoiceField(label=_("Plan"), required=False)
    note = forms.CharField(
        label=_("Note"),
        required=False,
        max_length=300,
        help_text=_("Kept in the history, for you and your colleagues."),
    )

    def __init__(self, data: Any = None, *, standing: Standing) -> None:
        chosen = standing.plan.code if standing.since_at else ""
        shown = {PREFIX + name: _shown(value) for name, value in standing.overrides.items()}
        super().__init__(data, initial={"plan": chosen, **shown})
        default = _("The installation's default (%(plan)s)") % {"plan": PLANS[settings.DEFAULT_PLAN].label}
        self.fields["plan"].choices = [  # type: ignore[attr-defined]
            ("", default),
            *((plan.code, plan.label) for plan in PLANS.values()),
        ]
        for name, limit in LIMITS.items():
            self.fields[PREFIX + name] = SwitchField(limit) if limit.is_yes_or_no else OverrideField(limit)
        self.order_fields(["plan", *(PREFIX + name for name in LIMITS), "note"])

    @property
    def overrides(self) -> dict[str, Any]:
        """Return the deal: what was given and is not as the plan has it."""
        given = {name: self.cleaned_data.get(PREFIX + name, "") for name in LIMITS}
        return {name: value for name, value in given.items() if value != ""}

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if self.errors:
            return cleaned
        code = cleaned["plan"]
        if self.overrides and not code:
            self.add_error("plan", _("Choose a plan that the deal is laid over."))
            return cleaned
        try:
            with_overrides(PLANS[code or settings.DEFAULT_PLAN].entitlements, self.overrides)
        except BadOverride as error:
            self.add_error(PREFIX + error.name, str(error))
        return cleaned


def _shown(value: Any) -> Any:
    """Return a stored override as its field shows it."""
    if value is None:
        return ANY_NUMBER
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value
