"""Who belongs to a tenant, and who is invited."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _

from apps.core import clock
from apps.tenants.enums import Role
from apps.tenants.models.base import TenantModel


class Membership(TenantModel):
    """A person in a tenant, with a role."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    role = models.CharField(_("role"), max_length=20, choices=Role.choices)
    created_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta(TenantModel.Meta):
        constraints = [models.UniqueConstraint(fields=["tenant", "user"], name="tenants_membership_once")]

    def __str__(self) -> str:
        return f"{self.user_id} ({self.role})"


class Invitation(TenantModel):
    """An invitation. The letter's token is signed from the id (`domain.invitations`), so that a repeated letter is the same."""

    email = models.EmailField(_("e-mail address"))
    role = models.CharField(_("role"), max_length=20, choices=Role.choices, default=Role.VIEWER)
    invited_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=clock.now, editable=False)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True)
    letter_sent_at = models.DateTimeField(null=True)
    letter_error = models.CharField(max_length=300, blank=True)

    class Meta(TenantModel.Meta):
        constraints = [
            models.UniqueConstraint(
                "tenant", Lower("email"), name="tenants_invitation_once", condition=models.Q(accepted_at=None)
            )
        ]

    def __str__(self) -> str:
        return self.email
