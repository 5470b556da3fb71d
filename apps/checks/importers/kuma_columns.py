"""What Uptime Kuma's monitors have beyond what checks take: each is known here, so that none goes without a word."""

from collections.abc import Iterable, Iterator, Mapping

from django.utils.translation import gettext_lazy as _

from apps.checks.importers.hosted import DOMAIN_END, ONE_FAMILY
from apps.checks.importers.kuma_file import Row
from apps.checks.importers.wish import is_said, unknown_settings
from apps.core.kinds import Text

# What stays behind of any monitor that has it.
BEHIND: Mapping[str, Text] = {
    "description": _("Its description stays behind."),
    "docker_container": _("Its Docker container stays behind."),
    "expected_tls_alert": _("The TLS alert that it expects stays behind."),
    "grpc_method": _("Its call stays behind: the server is asked for its health instead."),
    "ip_family": ONE_FAMILY,
    "proxy_id": _("Its proxy stays behind."),
    "remote_browser": _("Its remote browser stays behind; one of this installation goes there."),
    "resend_interval": _("Repeated messages are a matter of alert rules here."),
    "ws_ignore_sec_websocket_accept_header": _("The server's answer to the handshake must be right here."),
}
# What stays behind where it is in use; monitors of other kinds keep what was once written there.
WEB = frozenset({"http", "keyword", "json-query"})
OF_TYPES: Mapping[str, tuple[frozenset[str], Text]] = {
    "cache_bust": (
        WEB,
        _("What it adds to its address against caches stays behind."),
    ),
    "smtp_security": (
        frozenset({"port"}),
        _("The TLS that it expects on its port stays behind; a check of the kind “TLS” looks at that."),
    ),
}
OF_LOGINS: Mapping[str, tuple[str, Text]] = {
    "oauth_audience": ("oauth2-cc", _("The audience that it asks a token for stays behind.")),
    "tls_ca": (
        "mtls",
        _("Its own certificate authority stays behind; the server's certificate must be publicly known."),
    ),
}
# Without these a check would say that a healthy service is down.
MAIMING = frozenset({"proxy_id", "expected_tls_alert"})
WAYS_IN = frozenset({"basic", "bearer", "oauth2-cc", "mtls"})
DOMAINS = "domain_expiry_notification"  # on for every monitor of Kuma 2.1
# What becomes something here, or is only looked at with it, and what says nothing of a check.
TAKEN = """
    id name type url method hostname port active interval timeout maxretries retry_interval keyword invert_keyword
    ignore_tls upside_down maxredirects accepted_statuscodes accepted_statuscodes_json headers body http_body_encoding
    auth_method bearer_token basic_auth_user basic_auth_pass auth_domain auth_workstation tls_cert tls_key expiry_notification
    oauth_client_id oauth_client_secret oauth_token_url oauth_scopes oauth_auth_method
    json_path json_path_operator expected_value conditions parent tags push_token packet_size ping_count ping_numeric
    ping_per_request_timeout dns_resolve_type dns_resolve_server database_connection_string database_query
    grpc_url grpc_protobuf grpc_body grpc_metadata grpc_service_name grpc_enable_tls
    mqtt_topic mqtt_success_message mqtt_username mqtt_password mqtt_check_type mqtt_websocket_path
    kafka_producer_topic kafka_producer_brokers kafka_producer_ssl kafka_producer_allow_auto_topic_creation
    kafka_producer_sasl_options kafka_producer_message rabbitmq_nodes rabbitmq_username rabbitmq_password
    radius_username radius_password radius_secret radius_calling_station_id radius_called_station_id
    ws_subprotocol game gamedig_given_port_only docker_host snmp_oid snmp_version snmp_v3_username
    system_service_name location protocol subtype restart_url
    user_id weight created_date dns_last_result path path_name children_ids force_inactive notification_idlist
    maintenance screenshot screenshot_delay include_sensitive_data save_response save_error_response
    response_max_length
"""
KNOWN = {*TAKEN.split()} | BEHIND.keys() | OF_TYPES.keys() | OF_LOGINS.keys() | {DOMAINS}


def left_of(row: Row) -> Iterator[Text]:
    """Yield what stays behind of a monitor that comes over."""
    for column, text in BEHIND.items():
        if is_said(row.get(column)):
            yield text
    for column, (types, text) in OF_TYPES.items():
        if row.get("type") in types and is_said(row.get(column)):
            yield text
    login = _login_of(row)
    for column, (way, text) in OF_LOGINS.items():
        if login == way and is_said(row.get(column)):
            yield text
    if login and login not in WAYS_IN:
        yield _("Its way to sign in, “%(way)s”, stays behind.") % {"way": login[:60]}


def _login_of(row: Row) -> str:
    """Return how a monitor of the web signs in; nothing where it does not."""
    return str(row["auth_method"]) if row.get("type") in WEB and is_said(row.get("auth_method")) else ""


def is_maimed(row: Row) -> bool:
    """Tell whether something stays behind without which a healthy service would be down."""
    login = _login_of(row)
    lost_of_login = any(is_said(row.get(column)) for column, (way, _text) in OF_LOGINS.items() if way == login)
    is_refused = bool(login) and login not in WAYS_IN
    return lost_of_login or is_refused or any(is_said(row.get(column)) for column in MAIMING)


def left_of_all(rows: Iterable[Row]) -> Iterator[Text]:
    """Yield what stays behind of all monitors of a file alike: once, since nearly each has it."""
    said = {column for row in rows for column, value in row.items() if is_said(value)}
    if DOMAINS in said:
        yield DOMAIN_END
    if unknown := said - KNOWN:
        yield unknown_settings(unknown)
