"""Pages about who belongs to the tenant, and joining it."""

from collections.abc import Callable

from allauth.account.adapter import get_adapter
from django.contrib import messages
from django.core.paginator import Paginator
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.accounts.domain.people import has_verified
from apps.core.refusals import Refusal
from apps.tenants.domain import invitations, memberships, queries
from apps.tenants.domain.rights import may_grant
from apps.tenants.doors import TenantRequest, public_view, tenant_view
from apps.tenants.forms import InvitationForm, RoleForm, role_choices
from apps.tenants.models import Invitation, Membership
from apps.tenants.permissions import MANAGE_MEMBERS, VIEW_TENANT

PAGE_SIZE = 50


def _members_page(request: TenantRequest, form: InvitationForm) -> HttpResponse:
    page = Paginator(queries.members(), PAGE_SIZE).get_page(request.GET.get("page"))
    is_manager = MANAGE_MEMBERS.name in request.can
    context = {
        "form": form,
        "page": page,
        "rows": [(member, is_manager and may_grant(request.can, member.role)) for member in page],
        "invitations": [(row, is_manager and may_grant(request.can, row.role)) for row in queries.open_invitations()],
        "role_choices": role_choices(request.can),
        "is_manager": is_manager,
    }
    return render(request, "tenants/members.html", context)


def _try(request: TenantRequest, action: Callable[[], object], success: str) -> HttpResponse:
    """Do it or say why not, and go back to the members."""
    try:
        with transaction.atomic():
            action()
    except Refusal as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, success)
    return redirect("tenants:members", request.tenant.slug)


@tenant_view(VIEW_TENANT)
@require_GET
def members(request: TenantRequest) -> HttpResponse:
    """Show members and open invitations."""
    return _members_page(request, InvitationForm(can=request.can))


@tenant_view(MANAGE_MEMBERS)
@require_POST
def invite(request: TenantRequest) -> HttpResponse:
    """Invite someone; a worker sends the letter."""
    form = InvitationForm(request.POST, can=request.can)
    if not form.is_valid():
        return _members_page(request, form)
    email = form.cleaned_data["email"]
    return _try(
        request,
        lambda: invitations.invite(email=email, role=form.chosen_role, invited_by=request.user, can=request.can),
        _("The invitation to %(email)s is on its way.") % {"email": email},
    )


@tenant_view(MANAGE_MEMBERS)
@require_POST
def resend(request: TenantRequest, invitation_id: str) -> HttpResponse:
    """Send a fresh letter."""
    invitation = get_object_or_404(Invitation, id=invitation_id, accepted_at=None)
    return _try(
        request,
        lambda: invitations.resend(invitation=invitation, invited_by=request.user, can=request.can),
        _("A new letter to %(email)s is on its way; the old link no longer works.") % {"email": invitation.email},
    )


@tenant_view(MANAGE_MEMBERS)
@require_POST
def withdraw(request: TenantRequest, invitation_id: str) -> HttpResponse:
    """Take an invitation back."""
    invitation = get_object_or_404(Invitation, id=invitation_id, accepted_at=None)
    return _try(
        request,
        lambda: invitations.withdraw(invitation=invitation, can=request.can),
        _("The invitation to %(email)s no longer works.") % {"email": invitation.email},
    )


@tenant_view(MANAGE_MEMBERS)
@require_POST
def change_role(request: TenantRequest, membership_id: str) -> HttpResponse:
    """Give a member another role."""
    member = get_object_or_404(Membership.objects.select_related("user"), id=membership_id)
    form = RoleForm(request.POST, can=request.can)
    if not form.is_valid():
        messages.error(request, _("You cannot give this role."))
        return redirect("tenants:members", request.tenant.slug)
    role = form.chosen_role
    return _try(
        request,
        lambda: memberships.change_role(membership=member, role=role, can=request.can),
        _("%(name)s is now: %(role)s.") % {"name": member.user, "role": role.label},
    )


@tenant_view(MANAGE_MEMBERS)
@require_POST
def remove(request: TenantRequest, membership_id: str) -> HttpResponse:
    """Remove a member."""
    member = get_object_or_404(Membership.objects.select_related("user"), id=membership_id)
    return _try(
        request,
        lambda: memberships.remove_member(membership=member, can=request.can),
        _("%(name)s no longer belongs to %(tenant)s.") % {"name": member.user, "tenant": request.tenant},
    )


@tenant_view(VIEW_TENANT)
@require_POST
def leave(request: TenantRequest) -> HttpResponse:
    """End one's own membership."""
    try:
        memberships.leave(membership=request.membership)
    except Refusal as refusal:
        messages.error(request, str(refusal))
        return redirect("tenants:members", request.tenant.slug)
    messages.success(request, _("You left %(tenant)s.") % {"tenant": request.tenant})
    return redirect("tenants:enter")


@public_view
@never_cache
@require_http_methods(["GET", "POST"])
def accept(request: HttpRequest, token: str) -> HttpResponse:
    """Show an invitation and, to whom it was sent, the way in."""
    try:
        invitation = invitations.find_invitation(token)
        if request.method == "POST" and request.user.is_authenticated:
            tenant = invitations.accept(token=token, user=request.user)
            messages.success(request, _("Welcome to %(tenant)s.") % {"tenant": tenant})
            return redirect("tenants:members", tenant.slug)
    except Refusal as refusal:
        return render(request, "tenants/invitation_refused.html", {"reason": refusal}, status=410)
    return render(request, "tenants/invitation.html", _choices_of(request, invitation))


def _choices_of(request: HttpRequest, invitation: Invitation) -> dict[str, object]:
    """Return what the page offers: joining, or signing in or up with the invited address."""
    here = {"next": request.get_full_path()}
    is_theirs = request.user.is_authenticated and has_verified(user=request.user, email=invitation.email)
    if not request.user.is_authenticated:
        # Who holds the letter reads that mailbox: signing up with its address needs no second letter.
        get_adapter().stash_verified_email(request, invitation.email)
    return {
        "invitation": invitation,
        "role": invitation.get_role_display(),
        "is_theirs": is_theirs,
        "sign_in_href": f"{reverse('account_login')}?{urlencode(here)}",
        "sign_up_href": f"{reverse('account_signup')}?{urlencode(here)}",
    }
