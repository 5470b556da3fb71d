"""A person's own page."""

from typing import cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import translation
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from apps.accounts.adapter import remember_language
from apps.accounts.domain.people import change_profile
from apps.accounts.forms import ProfileForm
from apps.accounts.models import User
from apps.core.doors import account_view


@account_view
@require_http_methods(["GET", "POST"])
def profile(request: HttpRequest) -> HttpResponse:
    """Show and keep name and language."""
    user = cast("User", request.user)
    form = ProfileForm(request.POST or None, initial={"name": user.name, "language": user.language})
    if not form.is_valid():
        return render(request, "account/profile.html", {"form": form})
    change_profile(user=user, **form.cleaned_data)
    response = redirect("accounts:profile")
    remember_language(response, user.language)
    with translation.override(user.language or translation.get_language()):
        messages.success(request, _("Saved."))
    return response
