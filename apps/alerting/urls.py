"""Addresses of this app."""

from django.urls import include, path

from apps.alerting import views

app_name = "alerting"

one_alert = [
    path("", views.detail, name="detail"),
    path("acknowledge/", views.acknowledge, name="acknowledge"),
    path("silence/", views.silence_alert, name="silence_alert"),
]
one_rule = [
    path("", views.edit_rule, name="rule_edit"),
    path("switch/", views.switch_rule, name="rule_switch"),
    path("delete/", views.delete_rule, name="rule_delete"),
]
urlpatterns = [
    path(
        "t/<slug:tenant_slug>/alerts/",
        include(
            [
                path("", views.alert_list, name="list"),
                path("<uuid:alert_id>/", include(one_alert)),
                path("why/<uuid:outage_id>/", views.why, name="why"),
                path("rules/", views.rule_list, name="rules"),
                path("rules/new/", views.create_rule, name="rule_create"),
                path("rules/<uuid:rule_id>/", include(one_rule)),
                path("silences/", views.silence_list, name="silences"),
                path("silences/new/", views.create_silence, name="silence_create"),
                path("silences/<uuid:silence_id>/end/", views.end_silence, name="silence_end"),
            ]
        ),
    )
]
