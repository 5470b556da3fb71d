"""Addresses of this app."""

from django.urls import URLPattern, URLResolver, include, path

from apps.notifications import views

app_name = "notifications"

channel: list[URLPattern | URLResolver] = [
    path("", views.channel_detail, name="channel_detail"),
    path("edit/", views.channel_edit, name="channel_edit"),
    path("delete/", views.channel_delete, name="channel_delete"),
    path("test/", views.channel_test, name="channel_test"),
]
channels: list[URLPattern | URLResolver] = [
    path("", views.channel_list, name="channels"),
    path("new/", views.channel_create, name="channel_create"),
    path("<uuid:pk>/", include(channel)),
]
deliveries: list[URLPattern | URLResolver] = [
    path("", views.delivery_list, name="deliveries"),
    path("<uuid:pk>/", views.delivery_detail, name="delivery_detail"),
    path("<uuid:pk>/resend/", views.delivery_resend, name="delivery_resend"),
]
urlpatterns = [
    path("t/<slug:tenant_slug>/channels/", include(channels)),
    path("t/<slug:tenant_slug>/deliveries/", include(deliveries)),
]
