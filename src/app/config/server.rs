//! Checks and completes the table `[server]`.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

use super::file::ServerTable;
use super::findings::Findings;
use super::settings::{Gateway, MAX_CONNECTIONS, Server};
use crate::io::http::Listen;
use crate::rules::access::Limits;

/// The networks that need no token by default: this machine.
const LOOPBACK: [&str; 2] = ["127.0.0.0/8", "::1/128"];
/// The length of the prefix `::ffff:0:0` of IPv4 addresses in IPv6.
const MAPPED_BITS: u8 = 96;
/// The default maximum number of active consumers.
const CONSUMERS: usize = 32;
/// The default maximum number of streams.
const STREAMS: usize = 16;
/// The default maximum number of requests of one consumer per minute.
const REQUESTS_PER_MINUTE: u32 = 600;
/// The largest maximum that can be configured: each connection takes memory and a file descriptor.
const MOST: usize = 4096;

/// Completes the table. The proxies of `gateways` need only its limits.
pub(super) fn server(table: ServerTable, gateways: &[Gateway], findings: &mut Findings) -> Option<Server> {
    let listen = table.listen.unwrap_or_default();
    if listen.is_empty() && gateways.iter().all(|gateway| gateway.proxy.is_empty()) {
        findings.problem("server listen", "write at least one address, such as [\"127.0.0.1:8480\"]");
        return None;
    }
    let listen: Vec<Listen> =
        listen.iter().filter_map(|text| findings.take("server listen", text.parse())).collect();
    check_addresses(&listen, gateways, findings);
    let open_to = table.open_to.unwrap_or_else(|| LOOPBACK.map(str::to_owned).to_vec());
    let mut open_to: Vec<IpNet> =
        open_to.iter().filter_map(|text| findings.take("server open_to", network(text))).collect();
    let ingress = table.ingress.as_deref().and_then(|text| {
        let parsed =
            text.trim().parse::<IpAddr>().map_err(|_reason| "write an IP address, such as \"172.30.32.2\"");
        findings.take("server ingress", parsed)
    });
    open_to.extend(ingress.map(IpNet::from));
    let all = listen.iter().chain(gateways.iter().flat_map(|gateway| &gateway.proxy));
    warn(all, &open_to, findings);
    let allow_origins = table.allow_origins.unwrap_or_default();
    let allow_origins: Vec<String> =
        allow_origins.iter().filter_map(|text| findings.take("server allow_origins", origin(text))).collect();
    let mut most = |key: &str, value: Option<usize>, default: usize| {
        let value = value.unwrap_or(default);
        if value == 0 || value > MOST {
            findings.problem(key, &format!("write a number from 1 to {MOST}"));
        }
        value
    };
    let max_connections = most("server max_connections", table.max_connections, MAX_CONNECTIONS);
    let max_consumers = most("server max_consumers", table.max_consumers, CONSUMERS);
    let max_streams = most("server max_streams", table.max_streams, STREAMS.min(max_connections));
    if max_streams > max_connections {
        let words = format!(
            "each stream takes a connection: write at most {max_connections}, or raise max_connections"
        );
        findings.problem("server max_streams", &words);
    }
    let requests_per_minute = table.requests_per_minute.unwrap_or(REQUESTS_PER_MINUTE);
    if requests_per_minute == 0 {
        findings.problem("server requests_per_minute", "write a number above 0");
    }
    Some(Server {
        listen,
        host_names: table.host_names.unwrap_or_default(),
        allow_origins,
        ingress,
        max_connections,
        limits: Limits { open_to, max_consumers, max_streams, requests_per_minute },
    })
}

/// Finds addresses that cannot both be listened at, in the table and among the proxies.
fn check_addresses(listen: &[Listen], gateways: &[Gateway], findings: &mut Findings) {
    let proxies = gateways.iter().flat_map(|gateway| &gateway.proxy).map(|at| ("gateway proxy", at));
    let all: Vec<(&str, &Listen)> = listen.iter().map(|at| ("server listen", at)).chain(proxies).collect();
    for (n, (key, address)) in all.iter().enumerate() {
        let mut before = all.iter().take(n);
        if let Some((other, same)) = before.find(|(_, other)| other.conflicts_with(address)) {
            let words = format!("{address} is there twice, as {same} at {other}; choose another port");
            findings.problem(key, &words);
        }
    }
}

/// Warns of a server that the whole internet may read, if the router lets it through.
fn warn<'a>(mut listen: impl Iterator<Item = &'a Listen>, open_to: &[IpNet], findings: &mut Findings) {
    let is_reachable = listen.any(|listen| !listen.address.ip().is_loopback());
    if is_reachable && open_to.iter().any(|network| network.prefix_len() == 0) {
        findings.warnings.push(
            "server open_to: every address may read without a token; write the network of your house instead"
                .to_owned(),
        );
    }
}

/// Parses a network, or one address.
fn network(text: &str) -> Result<IpNet, &'static str> {
    let text = text.trim();
    let parsed = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    parsed.map(canonical).ok_or("write a network, such as \"192.168.1.0/24\", or an IP address")
}

/// Returns a network of IPv4 addresses in IPv6 (`::ffff:192.168.1.0/120`) as one of IPv4, because clients have such addresses.
fn canonical(network: IpNet) -> IpNet {
    let IpNet::V6(mapped) = network else { return network };
    let ipv4 = mapped.addr().to_ipv4_mapped().zip(mapped.prefix_len().checked_sub(MAPPED_BITS));
    let ipv4 = ipv4.and_then(|(address, length)| Ipv4Net::new(address, length).ok());
    ipv4.map_or(network, IpNet::V4)
}

/// Checks the origin of a web page.
fn origin(text: &str) -> Result<String, &'static str> {
    let text = text.trim().trim_end_matches('/');
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    match host {
        Some(host) if !host.is_empty() && !host.contains(['/', '?', '#', ' ', '*']) => Ok(text.to_owned()),
        _ => Err("write an origin, such as \"https://house.example.com\""),
    }
}

#[cfg(test)]
mod tests {
    use crate::app::config;
    use crate::app::config::environment::Environment;

    fn complete(table: &str) -> Result<config::Config, config::Error> {
        config::complete(&format!("[server]\n{table}"), None, &Environment::default())
    }

    #[test]
    fn without_more_than_an_address_only_this_machine_may_read() {
        let server = complete("listen = [\"0.0.0.0:8480\", \"tls://[::]:8443\"]").unwrap().server.unwrap();
        let shown: Vec<String> = server.listen.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["http://0.0.0.0:8480", "https://[::]:8443"]);
        let open: Vec<String> = server.limits.open_to.iter().map(ToString::to_string).collect();
        assert_eq!(open, ["127.0.0.0/8", "::1/128"]);
        assert_eq!(
            (server.limits.max_consumers, server.limits.max_streams, server.limits.requests_per_minute),
            (32, 16, 600)
        );
        assert!(config::complete("", None, &Environment::default()).unwrap().server.is_none());
    }

    #[test]
    fn a_network_of_ipv4_addresses_in_ipv6_is_one_of_ipv4() {
        let server = complete(
            "listen = [\"[::]:8480\"]\nopen_to = [\"::ffff:192.168.1.0/120\", \"::ffff:10.0.0.7\", \"::/0\", \"fd00::/8\"]",
        );
        let open = server.unwrap().server.unwrap().limits.open_to;
        let open: Vec<String> = open.iter().map(ToString::to_string).collect();
        assert_eq!(open, ["192.168.1.0/24", "10.0.0.7/32", "::/0", "fd00::/8"]);
    }

    #[test]
    fn the_proxy_of_home_assistant_needs_no_token() {
        let server = complete("listen = [\"0.0.0.0:1\"]\ningress = \"172.30.32.2\"").unwrap().server.unwrap();
        assert_eq!(server.ingress, Some("172.30.32.2".parse().unwrap()));
        assert!(server.limits.open_to.contains(&"172.30.32.2/32".parse().unwrap()));
        assert!(
            findings("[server]\nlisten = [\"0.0.0.0:1\"]\ningress = \"ha\"")
                .starts_with("server ingress: write an IP")
        );
    }

    #[test]
    fn every_mistake_is_found_at_once() {
        let error = complete(
            "listen = [\"8480\", \"127.0.0.1:1\", \"tls://127.0.0.1:1\"]\nopen_to = [\"home\"]\nallow_origins = [\"*\"]\n\
             max_streams = 0\nmax_consumers = 4097\nmax_connections = 0\nrequests_per_minute = 0\n",
        )
        .unwrap_err();
        let error: Vec<String> = error.problems().iter().map(ToString::to_string).collect();
        let error = error.join("\n");
        for part in [
            "server listen: write an IP address",
            "server listen: https://127.0.0.1:1 is there twice",
            "server open_to",
            "server allow_origins",
            "server max_streams",
            "server max_consumers",
            "server max_connections",
            "server requests_per_minute",
        ] {
            assert!(error.contains(part), "{part} in {error}");
        }
        assert!(complete("").unwrap_err().problems()[0].to_string().contains("write at least one address"));
    }

    /// Returns the problems with a configuration, or its warnings.
    fn findings(text: &str) -> String {
        match config::complete(text, None, &Environment::default()) {
            Ok(config) => config.warnings.join("\n"),
            Err(error) => error.problems().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        }
    }

    #[test]
    fn a_proxy_needs_no_server_and_takes_its_limits() {
        let text = "[[gateway]]\nproxy = [\"0.0.0.0:8081\", \"tls://0.0.0.0:8444\"]\n";
        let config = config::complete(text, None, &Environment::default()).unwrap();
        let listens: Vec<String> = config.listens().map(|(at, listen)| format!("{at:?} {listen}")).collect();
        assert_eq!(listens, ["Proxy(0) http://0.0.0.0:8081", "Proxy(0) https://0.0.0.0:8444"]);
        let open = config.server.unwrap().limits.open_to;
        assert!(open.iter().all(|network| network.addr().is_loopback()));
        assert_eq!(findings(&format!("{text}[server]\nopen_to = [\"192.168.1.0/24\"]\n")), "");
        assert!(findings(&format!("{text}[server]\nopen_to = [\"::/0\"]\n")).contains("every address"));
    }

    #[test]
    fn an_address_is_for_one_service_only() {
        let gateways = |one: &str, two: &str| {
            format!(
                "[[gateway]]\naddress = \"a\"\nproxy = [{one}]\n[[gateway]]\naddress = \"b\"\nproxy = [{two}]\n"
            )
        };
        for (text, problem) in [
            (gateways("\"[::]:8081\"", "\"0.0.0.0:8081\""), ""),
            (
                gateways("\"0.0.0.0:8081\"", "\"127.0.0.1:8081\""),
                "gateway proxy: http://127.0.0.1:8081 is there twice",
            ),
            (
                gateways("\"0.0.0.0:8480\"", "") + "[server]\nlisten = [\"tls://0.0.0.0:8480\"]",
                "gateway proxy: http://0.0.0.0:8480 is there twice, as https://0.0.0.0:8480 at server listen",
            ),
            (gateways("\"8081\"", ""), "gateway proxy: write an IP address and a port"),
            (
                "[[gateway]]\nproxy_serial = \"1234\"".to_owned(),
                "gateway proxy_serial: it has no effect without proxy",
            ),
            (
                "[[gateway]]\nserial = \"12\"\nproxy = [\"0.0.0.0:1\"]\nproxy_serial = \"12\"".to_owned(),
                "gateway proxy_serial: a gateway has the serial number 12 already",
            ),
            (
                "[[gateway]]\nproxy = [\"0.0.0.0:1\"]\nproxy_serial = \"1 2\"".to_owned(),
                "gateway proxy_serial: ",
            ),
        ] {
            let found = findings(&text);
            assert!(found.starts_with(problem) && found.is_empty() == problem.is_empty(), "{text}: {found}");
        }
    }

    #[test]
    fn there_are_connections_enough_for_the_streams() {
        let listen = "listen = [\"127.0.0.1:0\"]\n";
        let streams = |keys: &str| {
            let server = complete(&format!("{listen}{keys}"))?.server.unwrap();
            Ok::<_, config::Error>((server.max_connections, server.limits.max_streams))
        };
        assert_eq!(streams("").unwrap(), (128, 16));
        assert_eq!(streams("max_connections = 8").unwrap(), (8, 8));
        assert_eq!(streams("max_connections = 4096\nmax_streams = 4096").unwrap(), (4096, 4096));
        let error = streams("max_streams = 129").unwrap_err().problems()[0].to_string();
        assert!(error.contains("write at most 128, or raise max_connections"), "{error}");
    }

    #[test]
    fn a_server_that_is_open_to_everybody_is_warned_of() {
        let config =
            complete("listen = [\"0.0.0.0:8480\"]\nopen_to = [\"0.0.0.0/0\", \"192.168.1.9\"]").unwrap();
        assert!(config.warnings.iter().any(|warning| warning.contains("every address may read")));
    }
}
