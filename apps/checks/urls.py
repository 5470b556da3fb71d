"""Addresses of this app."""

from django.urls import URLPattern, URLResolver, include, path

from apps.checks import moving, views, views_agents, views_dependencies, views_drift, views_heartbeats, views_list
from apps.checks.agent_door import agent_door
from apps.checks.probe_door import probe

app_name = "checks"

one = [
    path("", views.detail, name="detail"),
    path("edit/", views.edit, name="edit"),
    path("chart/", views.chart, name="chart"),
    path("pause/", views_list.pause, name="pause"),
    path("resume/", views_list.resume, name="resume"),
    path("rename/", views_list.rename, name="rename"),
    path("run/", views.run_now, name="run_now"),
    path("approve-baseline/", views_drift.approve, name="approve_baseline"),
    path("dependencies/", views_dependencies.edit, name="dependencies"),
    path("pings/<int:number>/", views_heartbeats.ping_text, name="ping_text"),
    path("delete/", views.delete, name="delete"),
]
one_agent = [
    path("", views_agents.agent_detail, name="agent"),
    path("rename/", views_agents.rename, name="rename_agent"),
    path("rotate/", views_agents.rotate, name="rotate_agent"),
    path("revoke/", views_agents.revoke, name="revoke_agent"),
    path("reinstate/", views_agents.reinstate, name="reinstate_agent"),
    path("delete/", views_agents.delete, name="delete_agent"),
]
all_checks: list[URLPattern | URLResolver] = [
    path("", views_list.check_list, name="list"),
    path("bulk/", views_list.bulk, name="bulk"),
    path("new/", views.create, name="create"),
    path("export/", moving.export, name="export"),
    path("import/", moving.sources, name="import_sources"),
    path("import/configuration/", moving.configuration, name="configuration"),
    path("import/<slug:source>/", moving.bring, name="import"),
    path("ping-key/", views_heartbeats.key, name="ping_key"),
    path("ping-key/rotate/", views_heartbeats.rotate_key, name="rotate_ping_key"),
    path("agents/", views_agents.agent_list, name="agents"),
    path("agents/<uuid:agent_id>/", include(one_agent)),
    path("<uuid:check_id>/", include(one)),
]
urlpatterns = [
    path("t/<slug:tenant_slug>/checks/", include(all_checks)),
    path("probe", probe, name="probe"),
    path("agent/v1/<str:verb>", agent_door, name="agent_door"),
]
