"""Addresses of this app's API, under /api/v1/."""

from rest_framework.routers import SimpleRouter

from apps.alerting.api.views import AlertViewSet, RuleViewSet, SilenceViewSet

router = SimpleRouter()
router.register("alerts", AlertViewSet, basename="api-alerts")
router.register("alert-rules", RuleViewSet, basename="api-alert-rules")
router.register("silences", SilenceViewSet, basename="api-silences")
urlpatterns = router.urls
