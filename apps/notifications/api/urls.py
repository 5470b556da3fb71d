"""Addresses of this app's API, under /api/v1/."""

from rest_framework.routers import SimpleRouter

from apps.notifications.api.views import ChannelViewSet, DeliveryViewSet

router = SimpleRouter()
router.register("channels", ChannelViewSet, basename="api-channels")
router.register("deliveries", DeliveryViewSet, basename="api-deliveries")
urlpatterns = router.urls
