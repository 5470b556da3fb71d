"""Addresses of this app."""

from django.urls import include, path

from apps.incidents import views

app_name = "incidents"

one = [
    path("", views.detail, name="detail"),
    path("notes/", views.write_note, name="write_note"),
]
urlpatterns = [
    path(
        "t/<slug:tenant_slug>/outages/",
        include([path("", views.outage_list, name="list"), path("<uuid:outage_id>/", include(one))]),
    )
]
