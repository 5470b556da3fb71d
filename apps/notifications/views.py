"""Pages of channels and deliveries."""

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.core.refusals import Refusal
from apps.core.registry import UnknownKind
from apps.notifications.channels.base import DeliveryError, Message
from apps.notifications.channels.registry import CHANNEL_TYPES
from apps.notifications.domain import channels, planning, queries, rehearsal
from apps.notifications.domain.channels import config_of, type_of
from apps.notifications.enums import REPEATABLE_STATES, DeliveryState
from apps.notifications.forms import ChannelForm
from apps.notifications.models import Channel, Delivery
from apps.notifications.permissions import MANAGE, VIEW
from apps.tenants.doors import TenantRequest, tenant_view

PAGE_SIZE = 50
LOG_SIZE = 20


def _channel_or_404(pk: UUID) -> Channel:
    return get_object_or_404(Channel, id=pk)


@require_GET
@tenant_view(VIEW)
def channel_list(request: TenantRequest) -> HttpResponse:
    """The tenant's channels."""
    page = Paginator(queries.channels_with_last_delivery(), PAGE_SIZE).get_page(request.GET.get("page"))
    context = {"page": page, "rows": [(channel, type_of(channel)) for channel in page], "kinds": CHANNEL_TYPES}
    return render(request, "notifications/channels.html", context)


@require_http_methods(["GET", "POST"])
@tenant_view(MANAGE)
def channel_create(request: TenantRequest) -> HttpResponse:
    """Choose a kind, then make a channel of the kind in ``?kind=``."""
    try:
        kind = CHANNEL_TYPES.get(request.GET.get("kind", ""))
    except UnknownKind:
        return render(request, "notifications/channel_kinds.html", {"kinds": CHANNEL_TYPES})
    is_first = not queries.default_channels()
    form = ChannelForm(request.POST or None, config_class=kind.Config, initial={"is_default": is_first})
    if form.is_valid():
        try:
            channel = channels.create_channel(kind=kind.kind, draft=form.draft())
        except channels.NameTaken as refusal:
            form.add_error("name", str(refusal))
        else:
            messages.success(request, _("%(name)s is ready. Send a test to see that it arrives.") % {"name": channel})
            return redirect("notifications:channel_detail", request.tenant.slug, channel.id)
    context = {"form": form, "kind": kind, "kinds": CHANNEL_TYPES}
    return render(request, "notifications/channel_form.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "POST"])
@tenant_view(MANAGE)
def channel_edit(request: TenantRequest, pk: UUID) -> HttpResponse:
    """Change a channel."""
    channel = _channel_or_404(pk)
    kind = type_of(channel)
    form = ChannelForm(request.POST or None, config_class=kind.Config, channel=channel, stored=config_of(channel))
    if form.is_valid():
        try:
            channels.update_channel(channel=channel, draft=form.draft())
        except channels.NameTaken as refusal:
            form.add_error("name", str(refusal))
        else:
            messages.success(request, _("Saved."))
            return redirect("notifications:channel_detail", request.tenant.slug, channel.id)
    context = {"form": form, "kind": kind, "channel": channel}
    return render(request, "notifications/channel_form.html", context, status=422 if form.errors else 200)


@require_GET
@tenant_view(VIEW)
def channel_detail(request: TenantRequest, pk: UUID) -> HttpResponse:
    """One channel: its settings without secrets, and its delivery log."""
    channel = _channel_or_404(pk)
    context = {
        "channel": channel,
        "kind": type_of(channel),
        "settings": channels.shown_settings(channel),
        "deliveries": list(queries.delivery_log(channel_id=channel.id)[:LOG_SIZE]),
        "counts": queries.count_of_last_day(channel.id),
    }
    return render(request, "notifications/channel_detail.html", context)


@require_POST
@tenant_view(MANAGE)
def channel_delete(request: TenantRequest, pk: UUID) -> HttpResponse:
    """Delete a channel; its log stays."""
    channel = _channel_or_404(pk)
    channels.delete_channel(channel=channel)
    messages.success(request, _("%(name)s was deleted.") % {"name": channel.name})
    return redirect("notifications:channels", request.tenant.slug)


@require_POST
@tenant_view(MANAGE)
def channel_test(request: TenantRequest, pk: UUID) -> HttpResponse:
    """Send a test and show how it went: beside the button by htmx, else as a message on the channel's page."""
    channel = _channel_or_404(pk)
    is_ok, text = _tested(channel)
    if not request.headers.get("HX-Request"):
        messages.success(request, text) if is_ok else messages.error(request, text)
        return redirect("notifications:channel_detail", request.tenant.slug, channel.id)
    return render(request, "notifications/_test_result.html", {"is_ok": is_ok, "text": text, "channel": channel})


def _tested(channel: Channel) -> tuple[bool, str]:
    try:
        receipt = rehearsal.send_test(channel=channel)
    except (DeliveryError, Refusal) as error:
        return False, str(error)
    said = _("The receiver said: %(said)s") % {"said": receipt.detail} if receipt.detail else _("The receiver took it.")
    return True, said


def _wanted(request: TenantRequest) -> tuple[str, UUID | None]:
    """Return the filters of the list; what is no state or id filters nothing."""
    state = request.GET.get("state", "")
    try:
        channel_id = UUID(request.GET.get("channel", ""))
    except ValueError:
        channel_id = None
    return (state if state in DeliveryState else ""), channel_id


@require_GET
@tenant_view(VIEW)
def delivery_list(request: TenantRequest) -> HttpResponse:
    """What was sent and what was not, newest first."""
    state, channel_id = _wanted(request)
    found = queries.delivery_log(state=state, channel_id=channel_id)
    page = Paginator(found, PAGE_SIZE).get_page(request.GET.get("page"))
    context: dict[str, Any] = {
        "page": page,
        "states": DeliveryState.choices,
        "state": state,
        "channel_id": channel_id,
        "channels": Channel.objects.order_by("name"),
        "query": urlencode({name: value for name, value in (("state", state), ("channel", channel_id)) if value}),
        "is_filtered": bool(state or channel_id),
    }
    return render(request, "notifications/deliveries.html", context)


@require_GET
@tenant_view(VIEW)
def delivery_detail(request: TenantRequest, pk: UUID) -> HttpResponse:
    """One delivery: its message and every try."""
    delivery = get_object_or_404(Delivery.objects.select_related("channel"), id=pk)
    context = {
        "delivery": delivery,
        "message": Message.from_json(delivery.message),
        "tries": list(delivery.tries.order_by("-id")[:PAGE_SIZE]),
        "may_resend": MANAGE.name in request.can
        and delivery.state in REPEATABLE_STATES
        and delivery.channel is not None,
    }
    return render(request, "notifications/delivery_detail.html", context)


@require_POST
@tenant_view(MANAGE)
def delivery_resend(request: TenantRequest, pk: UUID) -> HttpResponse:
    """Give a failed or cancelled delivery a fresh row of tries."""
    delivery = get_object_or_404(Delivery.objects.select_related("channel"), id=pk)
    try:
        with transaction.atomic():
            planning.resend(delivery=delivery)
    except Refusal as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, _("It goes out again now."))
    return redirect("notifications:delivery_detail", request.tenant.slug, delivery.id)
