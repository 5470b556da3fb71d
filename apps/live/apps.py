"""Live: says at once to open browsers that something changed; what changed they fetch through the usual doors."""

from django.apps import AppConfig

from apps.live.domain import topics


class LiveConfig(AppConfig):
    name = "apps.live"
    verbose_name = "Live"

    def ready(self) -> None:
        topics.register("t", "apps.live.consumers.tenant_topic")
