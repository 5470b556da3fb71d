"""What this app does about events of others."""

from django.utils.translation import gettext as _

from apps.notifications.channels.email import EmailChannel, EmailConfig
from apps.notifications.domain.channels import Draft, create_channel
from apps.notifications.models import Channel
from apps.tenants.enums import Role
from apps.tenants.events import TenantCreated
from apps.tenants.models import Membership


def on_tenant_created(event: TenantCreated) -> None:
    """Give a new tenant a default channel to its founder, so that the very first alert reaches a person."""
    founder = Membership.objects.filter(role=Role.OWNER).select_related("user").order_by("id").first()
    if founder is None or Channel.objects.exists():  # a second delivery, or people were faster
        return
    draft = Draft(name=_("Owner’s e-mail"), config=EmailConfig(address=founder.user.email), is_default=True)
    create_channel(kind=EmailChannel.kind, draft=draft)
