"""Addresses of this app."""

from django.urls import include, path

from apps.tenants.views import members, tenant

app_name = "tenants"

in_tenant = [
    path("settings/", tenant.settings, name="settings"),
    path("settings/plan/", tenant.plan, name="plan"),
    path("api-keys/", tenant.keys, name="api_keys"),
    path("api-keys/<uuid:key_id>/revoke/", tenant.revoke_key, name="revoke_key"),
    path("members/", members.members, name="members"),
    path("members/invite/", members.invite, name="invite"),
    path("members/leave/", members.leave, name="leave"),
    path("members/<uuid:membership_id>/role/", members.change_role, name="change_role"),
    path("members/<uuid:membership_id>/remove/", members.remove, name="remove"),
    path("invitations/<uuid:invitation_id>/resend/", members.resend, name="resend"),
    path("invitations/<uuid:invitation_id>/withdraw/", members.withdraw, name="withdraw"),
]

urlpatterns = [
    path("", tenant.enter, name="enter"),
    path("tenants/", tenant.switch, name="switch"),
    path("tenants/new/", tenant.create, name="create"),
    path("invitations/<str:token>/", members.accept, name="accept"),
    path("t/<slug:tenant_slug>/", include(in_tenant)),
]
