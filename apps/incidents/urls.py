"""Addresses of this app."""

from django.urls import URLPattern, URLResolver, include, path

from apps.incidents.views import maintenance, outages

app_name = "incidents"

one = [
    path("", outages.detail, name="detail"),
    path("notes/", outages.write_note, name="write_note"),
]
one_window = [
    path("", maintenance.edit_window, name="window_edit"),
    path("end/", maintenance.end_window, name="window_end"),
    path("delete/", maintenance.delete_window, name="window_delete"),
]
windows: list[URLPattern | URLResolver] = [
    path("", maintenance.window_list, name="windows"),
    path("new/", maintenance.create_window, name="window_create"),
    path("preview/", maintenance.preview_window, name="window_preview"),
    path("now/<uuid:check_id>/", maintenance.start_now, name="maintenance_now"),
    path("<uuid:window_id>/", include(one_window)),
]
urlpatterns = [
    path(
        "t/<slug:tenant_slug>/outages/",
        include([path("", outages.outage_list, name="list"), path("<uuid:outage_id>/", include(one))]),
    ),
    path("t/<slug:tenant_slug>/maintenance/", include(windows)),
]
