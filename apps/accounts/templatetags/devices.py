"""Devices by name in templates."""

from django import template

from apps.accounts.domain import devices

register = template.Library()
register.filter("device_name", devices.device_name)
