"""Addresses of outages in the API."""

from rest_framework.routers import SimpleRouter

from apps.incidents.api.views import OutageViewSet, WindowViewSet

router = SimpleRouter()
router.register("outages", OutageViewSet, basename="api-outages")
router.register("maintenance-windows", WindowViewSet, basename="api-maintenance-windows")
urlpatterns = router.urls
