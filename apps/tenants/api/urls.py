"""Addresses of this app under /api/v1/."""

from django.urls import path
from rest_framework.routers import SimpleRouter

from apps.tenants.api import views

router = SimpleRouter()
router.register("members", views.MemberViewSet, basename="members")
router.register("invitations", views.InvitationViewSet, basename="invitations")
router.register("api-keys", views.ApiKeyViewSet, basename="api-keys")

urlpatterns = [
    path("tenant/", views.TenantView.as_view()),
    path("plan/", views.PlanView.as_view()),
    *router.urls,
]
