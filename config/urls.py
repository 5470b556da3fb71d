"""Every address of the product. An app brings its own ``urls.py``; here stands only where it hangs."""

from django.urls import include, path

urlpatterns = [
    path("account/", include("allauth.urls")),
    path("", include("apps.tenants.urls")),
]
