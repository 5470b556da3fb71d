"""Addresses of this app's API, under /api/v1/."""

from rest_framework.routers import SimpleRouter

from apps.checks.api.views import CheckViewSet

router = SimpleRouter()
router.register("checks", CheckViewSet, basename="api-checks")
urlpatterns = router.urls
