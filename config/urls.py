"""Every address of the product. An app brings its own ``urls.py``; here stands only where it hangs."""

from django.urls import include, path

urlpatterns = [
    path("account/", include("apps.accounts.urls")),
    path("account/", include("allauth.urls")),
    path("i18n/", include("django.conf.urls.i18n")),
    path("api/", include("config.api")),
    path("", include("apps.tenants.urls")),
    path("", include("apps.statuspages.urls")),
    path("", include("apps.checks.urls")),
    path("", include("apps.incidents.urls")),
    path("", include("apps.alerting.urls")),
    path("", include("apps.notifications.urls")),
    path("", include("apps.console.urls")),
]
