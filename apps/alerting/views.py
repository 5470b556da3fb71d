"""Pages of alerts, rules and silences."""

import json
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.alerting.domain import alerts, queries, rules, silences
from apps.alerting.domain.facts import SUBJECT
from apps.alerting.domain.rules import settings_of
from apps.alerting.domain.trace import runs_of, sentence
from apps.alerting.forms import DURATIONS, AlertFilterForm, QuickSilenceForm, RuleForm, SilenceForm, minute_choices
from apps.alerting.models import Alert, AlertRule, Silence
from apps.alerting.permissions import MANAGE_RULES, RESPOND, VIEW_ALERTS
from apps.core.refusals import Refusal
from apps.incidents.models import Outage
from apps.notifications.domain.queries import deliveries_about
from apps.tenants.doors import TenantRequest, tenant_view

PAGE_SIZE = 50
QUICK_DURATIONS = DURATIONS[1:5]


def _done(request: TenantRequest, text: str | Promise, *, tone: str, to: tuple[str, *tuple[UUID, ...]]) -> HttpResponse:
    """Answer a button: htmx pages hear a toast and fetch their lists again, others go to ``to``."""
    if request.headers.get("HX-Request"):
        events = {"toast": {"text": str(text), "tone": tone}, "alerts-changed": True}
        return HttpResponse(status=204, headers={"HX-Trigger": json.dumps(events)})
    messages.add_message(request, messages.SUCCESS if tone == "success" else messages.ERROR, str(text))
    return redirect(to[0], request.tenant.slug, *to[1:])


@require_GET
@tenant_view(VIEW_ALERTS)
def alert_list(request: TenantRequest) -> HttpResponse:
    """The tenant's alerts: open ones first, then those that ended last."""
    form = AlertFilterForm(request.GET)
    found = queries.find_alerts(form.wanted()).order_by(*queries.OPEN_FIRST)
    page = Paginator(found, PAGE_SIZE).get_page(request.GET.get("page"))
    query = request.GET.copy()
    query.pop("page", None)
    context = {
        "form": form,
        "page": page,
        "silenced": queries.silenced_ids(page),
        "durations": minute_choices(*QUICK_DURATIONS),
        "query": query.urlencode(),
        "is_filtered": any(request.GET.get(name) for name in form.fields),
    }
    return render(request, "alerting/list.html", context)


def _alert_or_404(alert_id: UUID) -> Alert:
    found: Alert = get_object_or_404(Alert.objects.select_related("watched", "acknowledged_by"), id=alert_id)
    return found


@require_GET
@tenant_view(VIEW_ALERTS)
def detail(request: TenantRequest, alert_id: UUID) -> HttpResponse:
    """One alert: what it is, who was told, and why or why not."""
    alert = _alert_or_404(alert_id)
    context = {
        "alert": alert,
        "is_silenced": alert.id in queries.silenced_ids([alert]),
        "runs": runs_of(alert),
        "deliveries": deliveries_about(SUBJECT, alert.id),
        "durations": minute_choices(*QUICK_DURATIONS),
    }
    return render(request, "alerting/detail.html", context)


@require_POST
@tenant_view(RESPOND)
def acknowledge(request: TenantRequest, alert_id: UUID) -> HttpResponse:
    """Take an alert on."""
    alert = _alert_or_404(alert_id)
    to = ("alerting:detail", alert.id)
    try:
        alerts.acknowledge(alert_id=alert.id, actor=request.user)
    except Refusal as refusal:
        return _done(request, str(refusal), tone="error", to=to)
    return _done(request, _("You are on it: no more reminders."), tone="success", to=to)


@require_POST
@tenant_view(RESPOND)
def silence_alert(request: TenantRequest, alert_id: UUID) -> HttpResponse:
    """Silence the alert's check for a while."""
    alert = _alert_or_404(alert_id)
    to = ("alerting:detail", alert.id)
    form = QuickSilenceForm(request.POST)
    if not form.is_valid() or alert.watched is None:
        return _done(request, _("This cannot be silenced."), tone="error", to=to)
    silences.create_silence(ends_at=form.ends_at(), actor=request.user, check=alert.watched)
    return _done(request, _("%(check)s is silenced.") % {"check": alert.check_name}, tone="success", to=to)


@require_GET
@tenant_view(VIEW_ALERTS)
def why(request: TenantRequest, outage_id: UUID) -> HttpResponse:
    """Why an outage was told, or not: what each rule made of it."""
    outage = get_object_or_404(Outage.objects.select_related("watched"), id=outage_id)
    context = {
        "outage": outage,
        "alerts": [(alert, runs_of(alert)) for alert in queries.alerts_of_outage(outage.id)],
        "mismatches": [(one, sentence(one.reason, one.values)) for one in queries.mismatches_of(outage.id)],
    }
    return render(request, "alerting/why.html", context)


@require_GET
@tenant_view(VIEW_ALERTS)
def rule_list(request: TenantRequest) -> HttpResponse:
    """The tenant's rules."""
    return render(request, "alerting/rules.html", {"rules": queries.rules_with_counts()})


@require_http_methods(["GET", "POST"])
@tenant_view(MANAGE_RULES)
def create_rule(request: TenantRequest) -> HttpResponse:
    """Make a rule."""
    return _rule_form(request, None)


@require_http_methods(["GET", "POST"])
@tenant_view(MANAGE_RULES)
def edit_rule(request: TenantRequest, rule_id: UUID) -> HttpResponse:
    """Change a rule."""
    return _rule_form(request, get_object_or_404(AlertRule, id=rule_id))


def _rule_form(request: TenantRequest, rule: AlertRule | None) -> HttpResponse:
    form = RuleForm(request.POST or None, rule=rule)
    if form.is_valid():
        try:
            rules.keep_rule(rule, form.settings())
        except Refusal as refusal:
            form.add_error("name", str(refusal))
        else:
            messages.success(request, _("The rule is saved. Open outages are looked at under it now."))
            return redirect("alerting:rules", request.tenant.slug)
    return render(request, "alerting/rule_form.html", {"form": form, "rule": rule}, status=422 if form.errors else 200)


@require_POST
@tenant_view(MANAGE_RULES)
def switch_rule(request: TenantRequest, rule_id: UUID) -> HttpResponse:
    """Switch a rule on or off, as ``is_enabled`` says."""
    rule = get_object_or_404(AlertRule, id=rule_id)
    rules.keep_rule(rule, settings_of(rule, is_enabled=request.POST.get("is_enabled") == "true"))
    text = _("“%(rule)s” is on.") if rule.is_enabled else _("“%(rule)s” is off: it tells nobody anything new.")
    messages.success(request, text % {"rule": rule.name})
    return redirect("alerting:rules", request.tenant.slug)


@require_POST
@tenant_view(MANAGE_RULES)
def delete_rule(request: TenantRequest, rule_id: UUID) -> HttpResponse:
    """Delete a rule."""
    rule = get_object_or_404(AlertRule, id=rule_id)
    rules.delete_rule(rule)
    messages.success(request, _("“%(rule)s” was deleted.") % {"rule": rule.name})
    return redirect("alerting:rules", request.tenant.slug)


@require_GET
@tenant_view(VIEW_ALERTS)
def silence_list(request: TenantRequest) -> HttpResponse:
    """What is silent now or will be, and what was."""
    return _silences(request, SilenceForm(initial={"duration": 60, "check": request.GET.get("check")}))


@require_POST
@tenant_view(RESPOND)
def create_silence(request: TenantRequest) -> HttpResponse:
    """Ask for quiet."""
    form = SilenceForm(request.POST)
    if not form.is_valid():
        return _silences(request, form)
    given = form.cleaned_data
    silences.create_silence(
        ends_at=form.ends_at(), actor=request.user, check=given["check"], tags=given["tags"], reason=given["reason"]
    )
    messages.success(request, _("Silence begins now."))
    return redirect("alerting:silences", request.tenant.slug)


def _silences(request: TenantRequest, form: SilenceForm) -> HttpResponse:
    page = Paginator(queries.silences_past(), PAGE_SIZE).get_page(request.GET.get("page"))
    context = {"form": form, "silences": queries.silences_now_and_later(), "page": page}
    return render(request, "alerting/silences.html", context, status=422 if form.errors else 200)


@require_POST
@tenant_view(RESPOND)
def end_silence(request: TenantRequest, silence_id: UUID) -> HttpResponse:
    """End a silence now."""
    silence = get_object_or_404(Silence, id=silence_id)
    silences.end_silence(silence_id=silence.id)
    return _done(request, _("The silence is over."), tone="success", to=("alerting:silences",))
