"""Inviting people by e-mail."""

import hashlib
import secrets
from datetime import timedelta

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import User
from apps.core import clock
from apps.core.mail import send_template
from apps.core.tenancy import system_scope, tenant_scope
from apps.tenants.enums import Role
from apps.tenants.models import Invitation, Membership, Tenant

VALID_FOR = timedelta(days=7)


class InvitationRefused(ValueError):
    """The invitation cannot be made or used; the text says why."""


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


@transaction.atomic
def invite(*, tenant: Tenant, email: str, role: Role, invited_by: User, accept_url: str) -> Invitation:
    """Keep an invitation and send its letter once committed; an open one for the same address is renewed.

    ``accept_url`` holds ``TOKEN`` where the secret goes.
    """
    if Membership.objects.filter(user__email__iexact=email).exists():
        raise InvitationRefused(_("This person is a member already."))
    token = secrets.token_urlsafe(32)
    Invitation.objects.filter(email__iexact=email, accepted_at=None).delete()
    invitation = Invitation.objects.create(
        email=email, role=role, invited_by=invited_by, token_hash=_hash(token), expires_at=clock.now() + VALID_FOR
    )
    context = {"tenant": tenant, "invited_by": invited_by, "url": accept_url.replace("TOKEN", token), "invitation": invitation}
    transaction.on_commit(lambda: send_template("invitation", to=email, context=context), robust=True)
    return invitation


def find_invitation(token: str) -> Invitation:
    """Return the open invitation behind a letter's token; raise `InvitationRefused` for a used, old or wrong one."""
    with system_scope("an invited person is in no tenant yet"):
        found = Invitation.unscoped.select_related("tenant").filter(token_hash=_hash(token)).first()
    if found is None or found.accepted_at:
        raise InvitationRefused(_("This invitation was used or withdrawn. Ask for a new one."))
    if found.expires_at <= clock.now():
        raise InvitationRefused(_("This invitation has expired. Ask for a new one."))
    return found


def accept(*, token: str, user: User) -> Tenant:
    """Make the person a member. The letter was sent to one address, and only who has verified it may use it."""
    invitation = find_invitation(token)
    if invitation.email.lower() != user.email.lower():
        raise InvitationRefused(_("This invitation was sent to another address. Sign in with that one."))
    with tenant_scope(invitation.tenant_id), transaction.atomic():
        # Rival: the same letter opened twice.
        if not Invitation.objects.filter(id=invitation.id, accepted_at=None).update(accepted_at=clock.now()):
            raise InvitationRefused(_("This invitation was used or withdrawn. Ask for a new one."))
        Membership.objects.get_or_create(user=user, defaults={"role": invitation.role})
    return invitation.tenant
