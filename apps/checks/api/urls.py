"""Addresses of this app's API, under /api/v1/."""

from django.urls import path
from rest_framework.routers import SimpleRouter

from apps.checks.api.agents import AgentViewSet
from apps.checks.api.configuration import ApplyView, ExportView, ImportView
from apps.checks.api.dependencies import DependenciesView
from apps.checks.api.heartbeats import HeartbeatView, PingBodyView, PingsView
from apps.checks.api.ping_key import PingKeyView, RotatePingKeyView
from apps.checks.api.regions import RegionsView
from apps.checks.api.views import CheckViewSet

router = SimpleRouter()
router.register("agents", AgentViewSet, basename="api-agents")
router.register("checks", CheckViewSet, basename="api-checks")
urlpatterns = [
    path("checks/export/", ExportView.as_view(), name="api-checks-export"),
    path("checks/apply/", ApplyView.as_view(), name="api-checks-apply"),
    path("checks/import/<str:source>/", ImportView.as_view(), name="api-checks-import"),
    path("checks/ping-key/", PingKeyView.as_view(), name="api-checks-ping-key"),
    path("checks/ping-key/rotate/", RotatePingKeyView.as_view(), name="api-checks-ping-key-rotate"),
    path("checks/<uuid:check_id>/dependencies/", DependenciesView.as_view(), name="api-checks-dependencies"),
    path("checks/<uuid:check_id>/heartbeat/", HeartbeatView.as_view(), name="api-checks-heartbeat"),
    path("checks/<uuid:check_id>/pings/", PingsView.as_view(), name="api-checks-pings"),
    path("checks/<uuid:check_id>/pings/<str:number>/body/", PingBodyView.as_view(), name="api-checks-ping-body"),
    path("regions/", RegionsView.as_view(), name="api-regions"),
    *router.urls,
]
