//! What goes wrong on the way: names, connections, TLS, proxies, and HTTP that is no OAuth.
//!
//! Known by the bridge's own texts, those of rustls and those of the system, whose wording has a few kinds. Mail servers
//! and authorities are reached by the same way, and fail by the same troubles.

use Fault::{Authority, Operator, Upstream};

use super::entry::{
    Entry, Met,
    Sign::{self, Begins, BeginsAndSays, Says},
};
use crate::failure::Fault;

const SYSTEM: &str = "POSIX.1-2024, \"getaddrinfo\" and \"connect\"";

const RUSTLS: &str = "the TLS library's own errors";

const CERTIFICATES: &str = "RFC 5280 §6.1";

const CONNECT: &str = "RFC 9110 §9.3.6 and RFC 1928";

const HTTP: &str = "RFC 9110 §15";

const OAUTH: &str = "RFC 6749 §5";

const fn entry(
    name: &'static str,
    sign: Sign,
    fault: Fault,
    cause: &'static str,
    cure: &'static str,
) -> Entry {
    Entry::new(Met::Network, sign, fault, cause, cure).named(name)
}

/// The first that fits is meant: what is said of a proxy comes first, whose troubles have the same words.
pub(super) const TABLE: &[Entry] = &[
    // A proxy on the way.
    entry(
        "proxy_wants_login",
        BeginsAndSays("proxy", "wants a user and a password"),
        Operator,
        "the proxy lets nobody through without a password",
        "write them into outbound_proxy of the provider: http://user:password@host:port",
    )
    .seen_as("proxy http://10.0.0.1:3128 wants a user and a password")
    .by(CONNECT),
    entry(
        "proxy_refuses_login",
        BeginsAndSays("proxy", "refuses our user and password"),
        Operator,
        "the proxy does not know our user or password",
        "check those in outbound_proxy of the provider",
    )
    .seen_as("proxy http://10.0.0.1:3128 refuses our user and password")
    .by(CONNECT),
    entry(
        "proxy_login",
        BeginsAndSays("proxy", "refuses the user"),
        Operator,
        "the proxy wants a user and a password, or others",
        "check user and password in outbound_proxy of the provider, or in HTTPS_PROXY",
    )
    .seen_as("proxy http://10.0.0.1:3128 refuses the user and password, or wants some")
    .by(CONNECT),
    entry(
        "proxy_forbids",
        BeginsAndSays("proxy", "forbids connections to"),
        Operator,
        "the proxy's rules forbid the host or the port",
        "let the proxy connect there: its rules name hosts and ports",
    )
    .seen_as("proxy http://10.0.0.1:3128 forbids connections to outlook.office365.com:993")
    .by(CONNECT),
    entry(
        "proxy_no_way",
        BeginsAndSays("proxy", "cannot connect to"),
        Operator,
        "the proxy does not reach the host itself",
        "check the provider's host and port, and the proxy's own way there",
    )
    .seen_as("proxy http://10.0.0.1:3128 cannot connect to outlook.office365.com:993: 502")
    .that_passes()
    .by(CONNECT),
    entry(
        "proxy_no_tunnel",
        BeginsAndSays("proxy", "does not connect us"),
        Operator,
        "the proxy gives no tunnel to the host",
        "let the proxy connect there, and check its own way there",
    )
    .seen_as("proxy http://10.0.0.1:3128 does not connect us there")
    .by(CONNECT),
    entry(
        "proxy_stranger",
        BeginsAndSays("proxy", "does not speak"),
        Operator,
        "what answers is no proxy of that kind",
        "check scheme and port of outbound_proxy of the provider",
    )
    .seen_as("proxy socks5://10.0.0.1:1080 does not speak SOCKS 5: H")
    .by(CONNECT),
    entry(
        "proxy_unreachable",
        BeginsAndSays("proxy", "cannot be reached"),
        Operator,
        "the proxy does not answer",
        "check the proxy, and outbound_proxy of the provider or HTTPS_PROXY",
    )
    .seen_as("proxy http://10.0.0.1:3128 cannot be reached: Connection refused (os error 111)")
    .that_passes()
    .by(CONNECT),
    entry(
        "proxy_broke_off",
        BeginsAndSays("proxy", "broke"),
        Operator,
        "the proxy hung up before there was a tunnel",
        "check the proxy, and scheme and port of outbound_proxy of the provider",
    )
    .seen_as("proxy socks5://10.0.0.1:1080 broke off: early eof")
    .that_passes()
    .by(CONNECT),
    entry(
        "proxy_trouble",
        Begins(&["proxy"]),
        Operator,
        "the proxy is in trouble",
        "check the proxy: outbound_proxy of the provider, or HTTPS_PROXY",
    )
    .seen_as("proxy http://10.0.0.1:3128 is in trouble: invalid response")
    .that_passes()
    .by(CONNECT),
    entry(
        "proxy_slow",
        Begins(&["asking proxy"]),
        Operator,
        "the proxy gives no tunnel in time",
        "check the proxy, and its own way to the mail server",
    )
    .seen_as("asking proxy http://10.0.0.1:3128 for a connection to outlook.office365.com:993 took longer than 10 s")
    .that_passes()
    .by(CONNECT),
    entry(
        "proxy_silent",
        BeginsAndSays("connecting to proxy", "://"),
        Operator,
        "the proxy does not answer",
        "check the proxy, and outbound_proxy of the provider",
    )
    .seen_as("connecting to proxy http://10.0.0.1:3128 took longer than 10 s")
    .that_passes()
    .by(CONNECT),
    // Names.
    entry(
        "lookup_slow",
        Begins(&["looking up"]),
        Operator,
        "the name server does not answer in time",
        "check this machine's name server (DNS); try later",
    )
    .seen_as("looking up outlook.office365.com took longer than 10 s")
    .that_passes()
    .by(SYSTEM),
    entry(
        "name_server_trouble",
        Says(&["emporary failure in name resolution", ": Try again"]),
        Operator,
        "the name server cannot be asked, or cannot answer",
        "check this machine's network and name server (DNS); try later",
    )
    .seen_as("cannot look up outlook.office365.com: Temporary failure in name resolution")
    .that_passes()
    .by(SYSTEM),
    entry(
        "name_unknown",
        Says(&[
            "Name or service not known",
            "Name does not resolve",
            "Name has no usable address",
            "No address associated",
            "nodename nor servname",
            "No such host is known",
            "cannot look up",
            "failed to lookup",
            "dns error",
        ]),
        Operator,
        "no such name, or not in this network",
        "check the host in the configuration, and DNS",
    )
    .seen_as("cannot look up outlook.ofice365.com: Name or service not known")
    .that_passes()
    .by(SYSTEM),
    // Certificates.
    entry(
        "certificate_self_signed",
        Says(&["it is self-signed"]),
        Operator,
        "nobody vouches for the certificate but itself",
        "if it is the right server, trust it with ca_file in the provider",
    )
    .seen_as("certificate of mail.example.com refused: it is self-signed")
    .by(CERTIFICATES),
    entry(
        "certificate_of_a_ca",
        Says(&["CaUsedAsEndEntity", "it is the certificate of a CA"]),
        Upstream,
        "the server shows a certificate that is a CA's own, as openssl makes them by default",
        "the server needs one with basicConstraints = CA:FALSE",
    )
    .seen_as("certificate of mail.example.com refused: it is the certificate of a CA, not of a server")
    .by("RFC 5280 §4.2.1.9"),
    entry(
        "certificate_issuer_unknown",
        Says(&["UnknownIssuer", "its issuer"]),
        Operator,
        "nobody that this machine trusts vouches for the certificate; often a firewall or proxy that inspects TLS",
        "trust its issuer with ca_file in the provider; it may be a firewall that inspects TLS",
    )
    .seen_as("certificate of outlook.office365.com refused: its issuer CN=Contoso TLS Inspection is unknown")
    .by(CERTIFICATES),
    entry(
        "certificate_of_another",
        Says(&["NotValidForName", "not valid for name", ", not for"]),
        Operator,
        "the certificate is another host's",
        "name the host in the configuration as its certificate does",
    )
    .seen_as("certificate of mail.example.com refused: it is for *.example.net, not for mail.example.com")
    .by("RFC 9525 §6"),
    entry(
        "certificate_expired",
        Says(&["it expired", "Expired", "certificate expired"]),
        Upstream,
        "the certificate has had its time, or this machine's clock is wrong",
        "if this machine's clock is right, its owner must renew it",
    )
    .seen_as("certificate of mail.example.com refused: it expired on 2026-03-01, and this clock says 2026-11-21")
    .by(CERTIFICATES),
    entry(
        "certificate_not_yet_valid",
        Says(&["it begins on", "NotValidYet", "not valid yet"]),
        Operator,
        "this machine's clock is behind, or the certificate ahead of its time",
        "set this machine's clock (NTP)",
    )
    .seen_as("certificate of mail.example.com refused: it begins on 2026-11-01, and this clock says 1970-01-02")
    .by(CERTIFICATES),
    entry(
        "certificate_refused",
        Says(&["certificate of", "invalid peer certificate", "certificate is refused"]),
        Upstream,
        "the certificate is revoked, damaged, or for another purpose",
        "the server's owner must renew it",
    )
    .seen_as("certificate of mail.example.com refused: it was revoked")
    .by(CERTIFICATES),
    // The rest of TLS.
    entry(
        "not_tls",
        Says(&["InvalidContentType"]),
        Operator,
        "what answers on that port does not begin with TLS",
        "check the port, with tls or in token_url: this one does not begin with TLS",
    )
    .seen_as("TLS handshake with mail.example.com failed: received corrupt message of type InvalidContentType")
    .by(RUSTLS),
    entry(
        "tls_too_old",
        Says(&["peer is incompatible", "ProtocolVersion"]),
        Upstream,
        "the server speaks no version of TLS, or no cipher, that is safe",
        "the server must offer TLS 1.2 or newer",
    )
    .seen_as("TLS handshake with mail.example.com failed: peer is incompatible: Tls12NotOffered")
    .by(RUSTLS),
    entry(
        "tls_refused",
        Says(&["received fatal alert"]),
        Upstream,
        "the server, or a firewall before it, refuses the TLS handshake",
        "check host and port; a firewall may refuse TLS for this host",
    )
    .seen_as("TLS handshake with mail.example.com failed: received fatal alert: HandshakeFailure")
    .that_passes()
    .by(RUSTLS),
    entry(
        "tls_silent",
        Begins(&["the TLS handshake with"]),
        Operator,
        "the server takes the connection and does not shake hands",
        "the server is in trouble, or its port does not begin with TLS: check port and tls",
    )
    .seen_as("the TLS handshake with mail.example.com:143 took longer than 10 s")
    .that_passes()
    .by("RFC 8314 §3"),
    entry(
        "injected",
        Says(&["behind its consent to STARTTLS"]),
        Upstream,
        "somebody on the way may be injecting commands, or the server is broken",
        "use its port for TLS from the first byte: tls = \"implicit\"",
    )
    .seen_as("mail.example.com sent data in clear behind its consent to STARTTLS")
    .by("RFC 3207 §5"),
    // HTTP.
    entry(
        "http_busy",
        Says(&["HTTP 429"]),
        Authority,
        "the authority wants fewer requests",
        "the bridge keeps trying, as late as the authority asks",
    )
    .seen_as("HTTP 429")
    .that_passes()
    .by("RFC 6585 §4"),
    entry(
        "http_trouble",
        Says(&["HTTP 5", "HTTP 408"]),
        Authority,
        "the authority has a failure of its own",
        "the bridge keeps trying",
    )
    .seen_as("HTTP 503")
    .that_passes()
    .by(HTTP),
    entry(
        "not_oauth",
        Says(&["no word of OAuth", "no token response", "its answer is over"]),
        Operator,
        "what answers is no token endpoint, or a page of a firewall stands in its place",
        "check token_url, and proxies on the way",
    )
    .seen_as("HTTP 404 and no word of OAuth")
    .by(OAUTH),
    entry(
        "not_https",
        Says(&["HTTP version"]),
        Operator,
        "what answers on that port does not speak HTTP",
        "check the port in token_url",
    )
    .seen_as("invalid HTTP version parsed")
    .by(HTTP),
    // Connections.
    entry(
        "connection_refused",
        Says(&["Connection refused", "actively refused"]),
        Upstream,
        "nobody listens there, or a firewall refuses",
        "check host and port in the configuration, and firewalls; try later",
    )
    .seen_as("cannot connect to 192.0.2.1:993: Connection refused (os error 111)")
    .that_passes()
    .by(SYSTEM),
    entry(
        "unreachable",
        Says(&["etwork is unreachable", "No route to host", "ost is unreachable", "unreachable network", "unreachable host"]),
        Operator,
        "this machine has no way there",
        "check this machine's network and firewalls; try later",
    )
    .seen_as("cannot connect to 192.0.2.1:993: Network is unreachable (os error 101)")
    .that_passes()
    .by(SYSTEM),
    entry(
        "timed_out",
        Says(&["took longer than", "no answer within", "timed out"]),
        Upstream,
        "nobody answers; often a firewall drops the packets",
        "let firewalls pass the host and port; try later",
    )
    .seen_as("connecting to outlook.office365.com:993 took longer than 10 s")
    .that_passes()
    .by(SYSTEM),
    entry(
        "broke_off",
        Says(&[
            "onnection reset",
            "forcibly closed",
            "roken pipe",
            "handshake eof",
            "nexpected eof",
            "unexpected end of file",
            "early eof",
            "connection closed before message completed",
            "onnection aborted",
        ]),
        Upstream,
        "the other side, or a firewall on the way, hung up",
        "check port and tls in the configuration, and firewalls; try later",
    )
    .seen_as("TLS handshake with mail.example.com failed: Connection reset by peer (os error 104)")
    .that_passes()
    .by(SYSTEM),
];

/// What is known of a trouble on the way.
pub(super) fn of(trouble: &str) -> Option<&'static Entry> {
    Entry::of_reply(trouble, TABLE)
}
