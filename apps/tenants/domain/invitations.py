"""Inviting people by e-mail."""

from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.db import transaction
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext_lazy as _

from apps.accounts.domain.people import has_verified
from apps.accounts.models import User
from apps.core import clock
from apps.core.mail import MailError, send_template
from apps.core.refusals import Refusal
from apps.core.tenancy import current_tenant_id, system_scope, tenant_scope
from apps.events.domain.outbox import emit
from apps.tenants.domain.rights import refuse_beyond
from apps.tenants.enums import Role
from apps.tenants.events import MemberInvited
from apps.tenants.models import Invitation, Membership, Tenant

VALID_FOR = timedelta(days=7)
EMAIL_LENGTH = Invitation._meta.get_field("email").max_length
MAX_OPEN = 200  # so that a stolen admin session cannot make us a bulk mailer


class InvitationRefused(Refusal):
    """The invitation cannot be made or used; the text says why."""


class MemberAlready(InvitationRefused):
    """The person invited needs no invitation."""

    message = _("This person is a member already.")
    field = "email"


def _signer() -> Signer:
    return Signer(salt="obsera.invitation", sep=".")


def accept_url(invitation: Invitation) -> str:
    """Return the address in the letter; it dies with the row."""
    return settings.PUBLIC_URL + reverse("tenants:accept", args=[_signer().sign(str(invitation.id))])


@transaction.atomic
def invite(*, email: str, role: Role, invited_by: User | None, can: frozenset[str]) -> Invitation:
    """Keep an invitation, whose letter a worker sends; an open one for the same address is replaced and its link dies.

    ``can`` are the rights of who asks. Raises `PermissionDenied` for a role above them, `InvitationRefused` otherwise.
    """
    refuse_beyond(can, role)
    if Membership.objects.filter(user__email__iexact=email).exists():
        raise MemberAlready
    Invitation.objects.filter(email__iexact=email, accepted_at=None).delete()
    if Invitation.objects.filter(accepted_at=None).count() >= MAX_OPEN:
        raise InvitationRefused(_("Too many invitations are open. Withdraw some first."))
    invitation: Invitation = Invitation.objects.create(
        email=email, role=role, invited_by=invited_by, expires_at=clock.now() + VALID_FOR
    )
    emit(MemberInvited(tenant_id=current_tenant_id(), invitation_id=invitation.id))
    return invitation


def resend(*, invitation: Invitation, invited_by: User | None, can: frozenset[str]) -> Invitation:
    """Replace an invitation by a fresh one with a new link and another seven days."""
    return invite(email=invitation.email, role=Role(invitation.role), invited_by=invited_by, can=can)


@transaction.atomic
def withdraw(*, invitation: Invitation, can: frozenset[str]) -> None:
    """Make the letter's link useless; raise `PermissionDenied` where the offered role exceeds the asker's rights."""
    refuse_beyond(can, invitation.role)
    invitation.delete()


def send_letter(*, invitation_id: UUID) -> None:
    """Send an open invitation's letter once. A refusal for good is kept for the members page; others raise `MailError`."""
    invitation = (
        Invitation.objects.select_related("tenant", "invited_by")
        .filter(id=invitation_id, accepted_at=None, letter_sent_at=None)
        .first()
    )
    if invitation is None:
        return
    context = {"tenant": invitation.tenant, "invitation": invitation, "url": accept_url(invitation)}
    language = invitation.invited_by.language if invitation.invited_by else ""
    try:
        with translation.override(language or settings.LANGUAGE_CODE):
            send_template("invitation", to=invitation.email, context=context)
    except MailError as error:
        if not error.permanent:
            raise
        invitation.letter_error = str(error)[:300]
    else:
        invitation.letter_sent_at = clock.now()
    invitation.save(update_fields=["letter_sent_at", "letter_error"])


def find_invitation(token: str) -> Invitation:
    """Return the open invitation behind a letter's token; raise `InvitationRefused` for a used, old or wrong one."""
    found: Invitation | None = None
    try:
        invitation_id = UUID(_signer().unsign(token))
    except (BadSignature, ValueError):
        invitation_id = None
    if invitation_id:
        with system_scope("an invited person is in no tenant yet"):
            found = Invitation.unscoped.select_related("tenant", "invited_by").filter(id=invitation_id).first()
    if found is None or found.accepted_at:
        raise InvitationRefused(_("This invitation was used or withdrawn. Ask for a new one."))
    if found.expires_at <= clock.now():
        raise InvitationRefused(_("This invitation has expired. Ask for a new one."))
    return found


def accept(*, token: str, user: User) -> Tenant:
    """Make the person a member. The letter was sent to one address, and only who has verified it may use it."""
    invitation = find_invitation(token)
    if not has_verified(user=user, email=invitation.email):
        raise InvitationRefused(_("This invitation was sent to another address. Sign in with that one."))
    with tenant_scope(invitation.tenant_id), transaction.atomic():
        # Rival: the same letter opened twice.
        if not Invitation.objects.filter(id=invitation.id, accepted_at=None).update(accepted_at=clock.now()):
            raise InvitationRefused(_("This invitation was used or withdrawn. Ask for a new one."))
        Membership.objects.get_or_create(user=user, defaults={"role": invitation.role})
    tenant: Tenant = invitation.tenant
    return tenant
