"""Addresses of this app's API, under /api/v1/."""

from django.urls import path
from rest_framework.routers import SimpleRouter

from apps.checks.api.configuration import ApplyView, ExportView, ImportView
from apps.checks.api.dependencies import DependenciesView
from apps.checks.api.views import CheckViewSet

router = SimpleRouter()
router.register("checks", CheckViewSet, basename="api-checks")
urlpatterns = [
    path("checks/export/", ExportView.as_view(), name="api-checks-export"),
    path("checks/apply/", ApplyView.as_view(), name="api-checks-apply"),
    path("checks/import/<str:source>/", ImportView.as_view(), name="api-checks-import"),
    path("checks/<uuid:check_id>/dependencies/", DependenciesView.as_view(), name="api-checks-dependencies"),
    *router.urls,
]
