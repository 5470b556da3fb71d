"""Addresses of this app."""

from django.urls import URLPattern, URLResolver, include, path

from apps.statuspages.views import editor, public

app_name = "statuspages"
Routes = list[URLPattern | URLResolver]

anyone: Routes = [
    path("", public.public, name="public"),
    path("live/", public.live, name="live"),
    path("history/", public.history, name="history"),
    path("feed.atom", public.feed, name="feed"),
    path("badge.svg", public.badge, name="badge"),
    path("api/v2/summary.json", public.summary, name="summary"),
    path("api/v2/status.json", public.status, name="status"),
    path("api/v2/components.json", public.components, name="components"),
    path("api/v2/incidents.json", public.incidents, name="incidents"),
    path("api/v2/scheduled-maintenances.json", public.maintenances, {"which": "all"}, name="maintenances"),
    path(
        "api/v2/scheduled-maintenances/active.json",
        public.maintenances,
        {"which": "active"},
        name="active_maintenances",
    ),
    path(
        "api/v2/scheduled-maintenances/upcoming.json",
        public.maintenances,
        {"which": "upcoming"},
        name="upcoming_maintenances",
    ),
]
component = [
    path("", editor.component_edit, name="component_edit"),
    path("move/", editor.component_move, name="component_move"),
    path("remove/", editor.component_remove, name="component_remove"),
]
one: Routes = [
    path("", editor.edit, name="edit"),
    path("delete/", editor.delete, name="delete"),
    path("components/", editor.component_add, name="component_add"),
    path("components/<uuid:component_id>/", include(component)),
]
members: Routes = [
    path("", editor.page_list, name="list"),
    path("new/", editor.create, name="create"),
    path("<uuid:page_id>/", include(one)),
]
urlpatterns = [
    path("status/<slug:page_slug>/", include(anyone)),
    path("t/<slug:tenant_slug>/status-pages/", include(members)),
]
