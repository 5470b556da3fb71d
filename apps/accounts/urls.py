"""Addresses of this app; django-allauth brings the rest of /account/."""

from django.urls import path

from apps.accounts import views

app_name = "accounts"
urlpatterns = [path("profile/", views.profile, name="profile")]
