"""The door for public pages: finds whose page an address is, and opens that tenant's scope for the view."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone, translation
from django.utils.translation.trans_real import get_supported_language_variant, parse_accept_lang_header
from django.views.decorators.http import require_safe

from apps.accounts.models import User
from apps.core.tenancy import tenant_scope
from apps.statuspages.domain.lookup import find_page
from apps.statuspages.models import StatusPage
from apps.statuspages.permissions import VIEW_PAGES
from apps.tenants.domain.memberships import membership_of
from apps.tenants.domain.rights import permissions_of

PageView = Callable[..., HttpResponse]


def public_page(view: PageView) -> PageView:
    """Open ``/status/<page_slug>/…`` to everybody once published, and before that to members who may see it.

    The view gets the page instead of the slug, speaks the visitor's language and tells times in the tenant's zone.
    """

    @require_safe
    @wraps(view)
    def opened(request: HttpRequest, page_slug: str, *args: Any, **kwargs: Any) -> HttpResponse:
        page = find_page(page_slug)
        if page is None:
            raise Http404
        language = accepted_language(request)
        with (
            tenant_scope(page.tenant_id),
            transaction.atomic(),
            timezone.override(page.tenant.time_zone),
            translation.override(language),
        ):
            if not page.is_published and not may_preview(request.user, page):
                raise Http404
            response = view(request, page, *args, **kwargs)
        response.headers["Content-Language"] = language
        return response

    opened.door = "public"  # type: ignore[attr-defined]
    return opened


def may_preview(user: AbstractBaseUser | AnonymousUser, page: StatusPage) -> bool:
    """Tell whether the person may see the page before it is published."""
    membership = membership_of(user, page.tenant) if isinstance(user, User) else None
    return membership is not None and VIEW_PAGES.name in permissions_of(membership.role)


def accepted_language(request: HttpRequest) -> str:
    """Return the first language of Accept-Language that we speak. No cookie counts: the answer may be kept for others."""
    for wish, _quality in parse_accept_lang_header(request.headers.get("Accept-Language", "")):
        try:
            return get_supported_language_variant(wish)
        except LookupError:
            continue
    return settings.LANGUAGE_CODE
