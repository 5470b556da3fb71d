"""Addresses of this app."""

app_name = "tenants"
urlpatterns: list[object] = []
