"""What people type about a page and its components."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.checks.models import Check
from apps.statuspages.domain.queries import checks_not_on
from apps.statuspages.models import Component, StatusPage


class PageForm(forms.ModelForm[StatusPage]):
    """The settings of a page."""

    support_url = forms.URLField(
        label=_("Support address"),
        required=False,
        max_length=500,
        assume_scheme="https",
        help_text=_("Where your customers can ask for help."),
    )

    class Meta:
        model = StatusPage
        fields = ("title", "slug", "description", "support_url", "theme", "shows_uptime", "is_published")
        widgets = {"description": forms.Textarea(attrs={"rows": 3}), "theme": forms.RadioSelect}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["slug"].widget.attrs.update(autocapitalize="none", autocomplete="off", spellcheck="false")

    @property
    def settings(self) -> dict[str, Any]:
        """The cleaned values by the names that the domain knows."""
        return dict(self.cleaned_data)

    def validate_unique(self) -> None:
        """Leave the address to the database: only it knows the pages of every tenant."""


class AddComponentForm(forms.Form):
    """Which check to show, and under which name."""

    check = forms.ModelChoiceField(label=_("Check"), queryset=Check.objects.none(), empty_label=_("Choose a check"))
    name = forms.CharField(
        label=_("Public name"), max_length=100, required=False, help_text=_("Empty: the check's own name.")
    )

    def __init__(self, *args: Any, page: StatusPage, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["check"].queryset = checks_not_on(page)  # type: ignore[attr-defined]

    @property
    def chosen(self) -> Check:
        check: Check = self.cleaned_data["check"]
        return check


class ComponentForm(forms.ModelForm[Component]):
    """How a component is called."""

    class Meta:
        model = Component
        fields = ("name", "description", "group")
