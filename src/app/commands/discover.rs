//! `enphased discover`: lists the gateways that announce themselves by mDNS.

use std::io::Write;
use std::time::Duration;

use super::failure::{Code, Failure};
use crate::io::gateway::mdns::{self, Found};

/// The time to listen for announcements.
const LISTEN: Duration = Duration::from_secs(5);

/// Listens for announcements and lists the gateways.
pub async fn discover(out: &mut dyn Write) -> Result<(), Failure> {
    let found = mdns::browse(LISTEN, |_| false)
        .await
        .map_err(|error| Failure::new(Code::Unavailable, error.to_string()))?;
    if found.gateways.is_empty() {
        return Err(Failure::new(
            Code::Unavailable,
            "no gateway announced itself by mDNS within 5 seconds. The gateway has to be on the same network as this \
             machine (no guest network, no other VLAN). Your router shows its address too; write it into the \
             configuration as address = \"...\" below [[gateway]]",
        ));
    }
    for gateway in &found.gateways {
        writeln!(out, "{}", line(gateway))?;
    }
    if found.more > 0 {
        writeln!(out, "{} more announcements were ignored", found.more)?;
    }
    Ok(())
}

fn line(gateway: &Found) -> String {
    let addresses: Vec<String> = gateway.addresses.iter().map(|address| address.ip().to_string()).collect();
    let firmware = gateway.firmware.map_or_else(|| "unknown".to_owned(), |firmware| firmware.to_string());
    format!("gateway {}  firmware {firmware}  at {}", gateway.serial, addresses.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_is_one_line() {
        let found = Found {
            serial: "122300000001".parse().unwrap(),
            firmware: "8.3.5289".parse().ok(),
            addresses: vec!["192.168.1.20:0".parse().unwrap(), "192.168.1.21:0".parse().unwrap()],
            port: 443,
        };
        assert_eq!(line(&found), "gateway 122300000001  firmware 8.3.5289  at 192.168.1.20, 192.168.1.21");
    }
}
