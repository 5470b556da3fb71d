"""Addresses of this app's API, under /api/v1/."""

from rest_framework.routers import SimpleRouter

from apps.statuspages.api.views import StatusPageViewSet

router = SimpleRouter()
router.register("status-pages", StatusPageViewSet, basename="api-status-pages")
urlpatterns = router.urls
