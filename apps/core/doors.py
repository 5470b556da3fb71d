"""The doors for pages that need no tenant. Each marks its view, so that the contract test knows who may pass."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse

View = Callable[..., HttpResponse]


def marked(view: View, door: str, permission: object = None) -> View:
    """Write on the view which door guards it."""
    view.door = door  # type: ignore[attr-defined]
    view.permission = permission  # type: ignore[attr-defined]
    return view


def account_view(view: View) -> View:
    """Open a page for anyone signed in, without a tenant."""
    return marked(wraps(view)(login_required(view)), "account")


def public_view(view: View) -> View:
    """Mark a page that anyone may see."""

    @wraps(view)
    def opened(*args: Any, **kwargs: Any) -> HttpResponse:
        return view(*args, **kwargs)

    return marked(opened, "public")


def staff_view(view: View) -> View:
    """Open a page for the operator only; to others it does not exist."""

    @login_required
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not getattr(request.user, "is_staff", False):
            raise Http404
        return view(request, *args, **kwargs)

    return marked(guarded, "staff")
