"""What this app does when something happened."""

from apps.tenants.domain import invitations
from apps.tenants.events import MemberInvited


def send_invitation_letter(event: MemberInvited) -> None:
    invitations.send_letter(invitation_id=event.invitation_id)
