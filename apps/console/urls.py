"""Addresses of this app."""

from django.urls import include, path

from apps.console.views import home, operator, plans

app_name = "console"

tenant = [
    path("", home.home, name="home"),
    path("start/", home.onboarding, name="onboarding"),
    path("start/<uuid:check_id>/", home.first_result, name="first_result"),
    path("search/", home.find, name="search"),
    path("jump/", home.jump, name="jump"),
]
urlpatterns = [
    path("t/<slug:tenant_slug>/", include(tenant)),
    path("healthz", operator.healthz, name="healthz"),
    path("readyz", operator.readyz, name="readyz"),
    path("metrics", operator.metrics, name="metrics"),
    path("staff/tenants/", plans.tenants, name="tenants"),
    path("staff/tenants/<slug:tenant_slug>/", plans.plan, name="tenant_plan"),
    path("staff/components/", operator.components, name="components"),
]
