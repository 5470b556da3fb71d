"""What people may say of dependencies; nothing is written here."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.checks.models import Check


class DependenciesForm(forms.Form):
    """Choose the checks that another one depends on."""

    parents = forms.ModelMultipleChoiceField(
        label=_("Depends on"),
        queryset=Check.objects.none(),
        required=False,
        widget=forms.SelectMultiple(attrs={"size": 12}),
        help_text=_("While one of them is down, nobody is paged for this check; it is still checked."),
    )

    def __init__(self, *args: Any, check: Check, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["parents"].queryset = Check.objects.exclude(id=check.id).order_by("name")  # type: ignore[attr-defined]
