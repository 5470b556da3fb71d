"""What the error codes that many check types share mean, and what mends it. A type's own codes stand in its own file."""

from collections.abc import Mapping

from django.utils.translation import gettext_lazy as _

from apps.core.kinds import Text

LOOK_AT_THE_SERVER = _("Look at the server and at what stands between.")
RENEW = _("Renew the certificate and load it into the server.")

Message = tuple[Text, Text]

MESSAGES: Mapping[str, Message] = {
    "dns_failure": (_("The name %(host)s has no address."), _("Check its spelling and its DNS records.")),
    "dns_no_answer": (
        _("The name servers of %(host)s gave no usable answer (%(detail)s)."),
        _("Check the name servers of this domain, and its DNSSEC; the name itself may well exist."),
    ),
    "resolver_failure": (
        _("The name %(host)s could not be looked up: the resolver of this region answers for no name (%(detail)s)."),
        _("Nothing is needed from you, unless it is your own agent: then look at the resolver of its machine."),
    ),
    "dns_timeout": (_("Looking up %(host)s took too long."), _("Check the name servers of this domain.")),
    "address_forbidden": (
        _("The address %(address)s may not be checked (%(reason)s)."),
        _("Use a public address, or let an owner allow private targets in the settings."),
    ),
    "connect_refused": (
        _("The server refused the connection."),
        _("Check that the service runs and listens on this port."),
    ),
    "connect_timeout": (_("The server did not take the connection in time."), _("Check firewall, routing and load.")),
    "network_unreachable": (_("There is no way to the server's network."), _("Check routing and the DNS records.")),
    "no_ipv6_here": (
        _("The machine that checks has no IPv6."),
        _("Check an IPv4 address instead, or choose a region that has IPv6."),
    ),
    "connect_failed": (_("The connection failed."), LOOK_AT_THE_SERVER),
    "tls_timeout": (
        _("The server did not finish the TLS handshake in time."),
        _("Check its load and its TLS settings."),
    ),
    "tls_failed": (_("No TLS connection came about (%(detail)s)."), _("Check that this port speaks TLS 1.2 or newer.")),
    "tls_invalid": (_("The certificate is not valid (%(detail)s)."), _("Replace the certificate.")),
    "tls_expired": (_("The certificate has expired."), RENEW),
    "tls_not_yet_valid": (_("The certificate is not valid yet."), _("Check the server's clock and the certificate.")),
    "tls_self_signed": (
        _("The certificate is signed by itself or by a root that nobody trusts."),
        _("Use one of a known authority, or switch verification off for this check."),
    ),
    "tls_unknown_issuer": (
        _("The certificate's issuer is unknown."),
        _("Let the server send the whole chain, or use a known authority."),
    ),
    "tls_revoked": (_("The certificate has been revoked."), RENEW),
    "tls_name_mismatch": (_("The certificate is for another name."), _("Get one that names this host.")),
    "client_certificate_unusable": (
        _("The client certificate and its key cannot be used (%(detail)s)."),
        _("Give both as PEM, the key without a password, and see that they belong together."),
    ),
    "client_certificate_refused": (
        _("The client certificate could not be used (%(detail)s)."),
        _("Give a certificate and the key that belongs to it."),
    ),
    "proxy_failed": (
        _("The proxy %(proxy)s could not be used (%(detail)s)."),
        _("Check that it runs, its address and its kind."),
    ),
    "proxy_refused": (
        _("The proxy %(proxy)s refused to connect (status %(status)s)."),
        _("Check its user name and password, and which targets it lets through."),
    ),
    "timeout": (_("The server did not answer in time."), _("Check its load, or allow the check more time.")),
    "transfer_timeout": (
        _("The answer began but did not end in time."),
        _("Check the server's load and the size of the answer, or allow the check more time."),
    ),
    "empty_response": (_("The server closed the connection without an answer."), LOOK_AT_THE_SERVER),
    "connection_lost": (_("The connection broke in the middle of the answer."), LOOK_AT_THE_SERVER),
    "answer_too_large": (
        _("The answer did not end within %(limit)s bytes."),
        _("Check what listens on this port, and the size of its answer."),
    ),
    "bad_response": (_("What came back is not HTTP."), _("Check the port and what listens there.")),
    "header_flood": (
        _("The answer's headers are too many or too large."),
        _("Make them smaller: 300 kB are the most."),
    ),
    "status_mismatch": (
        _("The server answered %(status)s; expected was %(expected)s."),
        _("Look at the server, or change what is expected."),
    ),
    "keyword_missing": (_("The text “%(keyword)s” is missing."), _("Look at the page, or change the keyword.")),
    "keyword_present": (_("The text “%(keyword)s” is there."), _("Look at the page, or change the keyword.")),
    "coding_unknown": (
        _("The answer is packed in a way that cannot be read here (%(coding)s)."),
        _("Let the server send it as it is or with gzip, such as by the header Accept-Encoding: gzip."),
    ),
    "coding_broken": (
        _("The answer calls itself packed (%(coding)s) but cannot be unpacked."),
        _("Look at what the server sends as Content-Encoding: browsers cannot read such an answer either."),
    ),
    "http_version_mismatch": (
        _("The server answered with HTTP/%(version)s."),
        _("Switch the wanted version on at the server, or choose another."),
    ),
    "too_many_redirects": (_("The server redirected more than %(count)s times."), _("Check it for a redirect loop.")),
    "bad_redirect": (_("The server redirected to an address that cannot be used."), _("Check its redirect.")),
    "redirect_with_secrets": (
        _("The server redirected to %(place)s, where the secrets in this request's body do not belong."),
        _("Check its redirect; if it is right, ask that address itself."),
    ),
    "bad_url": (_("The address cannot be used."), _("Correct the check's URL.")),
    "request_failed": (_("The request failed (%(detail)s)."), LOOK_AT_THE_SERVER),
    "wrong_protocol": (
        _("The server answered something that does not belong to this protocol (%(answer)s)."),
        _("Check the port and what listens there."),
    ),
    "service_error": (_("The service reports an error (%(answer)s)."), _("Look at the service's own log.")),
    "login_refused": (
        _("The server refused the login (%(answer)s)."),
        _("Check the user, the password and what the user may do."),
    ),
    "login_unsupported": (
        _("The server offers no way to log in that can be used here (%(offered)s)."),
        _("Switch encryption on, or let the server offer password logins."),
    ),
    "server_unproven": (
        _("The server could not prove that it knows the password."),
        _("Something else may be answering in its place: check host, port and encryption."),
    ),
    "encryption_missing": (
        _("The server does not offer encryption."),
        _("Switch TLS on at the server, or change the check's encryption."),
    ),
    "icmp_not_allowed": (
        _("The machine that checks may not send pings."),
        _(
            "Its operator can let it: give the process the capability NET_RAW, or put its group into the sysctl "
            "net.ipv4.ping_group_range. Or check a TCP port instead."
        ),
    ),
    "own_fault": (
        _("This could not be measured (%(detail)s)."),
        _("The fault is on our side; nothing is needed from you."),
    ),
    "region_sick": (
        _("This could not be measured: the place it was probed from had no network itself."),
        _("Nothing is needed from you; it counts as unknown, not as downtime."),
    ),
    "prober_stalled": (
        _("This could not be measured: the prober itself stood still meanwhile, twice."),
        _("Nothing is needed from you; operators should look at the load of the machine that probes."),
    ),
    "outside_allow_list": (
        _("The agent that looks after this check may not connect to %(address)s."),
        _("Name the address with --allow where the agent runs, or choose another target."),
    ),
    "kind_not_allowed": (
        _("The agent that looks after this check does not run checks of the kind “%(kind)s”."),
        _("Name the kind with --kinds where the agent runs, or choose another region."),
    ),
    "settings_unreadable": (_("The check's settings could not be read."), _("Save the check again.")),
}

FORBIDDEN_REASONS: Mapping[str, Text] = {
    "loopback": _("this machine itself"),
    "private": _("a private network"),
    "link-local": _("the local link"),
    "metadata": _("a cloud's metadata"),
    "shared": _("a provider's inner network"),
    "multicast": _("a multicast group"),
    "unspecified": _("no address at all"),
    "broadcast": _("a broadcast address"),
    "reserved": _("a reserved address"),
    "documentation": _("an address for examples"),
    "benchmarking": _("an address for benchmarks"),
    "tunnel": _("a tunnel"),
    "invalid": _("not an address"),
}
