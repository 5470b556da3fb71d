"""Status pages: what a tenant tells the world about its services."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

from apps.live.domain import topics


class StatusPagesConfig(AppConfig):
    name = "apps.statuspages"
    verbose_name = _("Status pages")

    def ready(self) -> None:
        topics.register("p", "apps.statuspages.domain.live.page_topic", is_public=True)
