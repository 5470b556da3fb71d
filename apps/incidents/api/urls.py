"""Addresses of outages in the API."""

from rest_framework.routers import SimpleRouter

from apps.incidents.api.views import OutageViewSet

router = SimpleRouter()
router.register("outages", OutageViewSet, basename="api-outages")
urlpatterns = router.urls
