//! Describes the configuration in use. Of a secret, only its presence and source are shown.

use crate::app::config::secret::SecretSource;
use crate::app::config::{Config, Gateway, Mqtt};

/// Returns one line for each setting.
pub(super) fn lines(config: &Config) -> Vec<String> {
    let file = config.path.as_ref().map_or_else(|| "none".to_owned(), |path| path.display().to_string());
    let account = &config.account;
    let mut lines = vec![
        format!("file          {file}"),
        format!("state         {}", config.state_dir.display()),
        format!("cloud         {}, {}", config.cloud.enlighten, config.cloud.entrez),
        format!(
            "account       {}; password {}",
            presence(account.username.is_some()),
            source(account.password.as_ref())
        ),
    ];
    if config.renew_short_tokens {
        lines.push("tokens        short-lived tokens are renewed too".to_owned());
    }
    lines.extend(config.gateways.iter().map(|gateway| format!("gateway       {}", gateway_line(gateway))));
    if let Some(stdout) = &config.stdout {
        let format = format!("{:?}", stdout.format).to_lowercase();
        lines.push(format!("stdout        {format}, {} devices by idx", stdout.idx.devices().count()));
    }
    lines.push(format!("broker        {}", config.mqtt.as_ref().map_or_else(|| "none".to_owned(), broker)));
    if let Some(alerts) = &config.alerts {
        lines
            .push(format!("alerts        url set, format {}", format!("{:?}", alerts.format).to_lowercase()));
    }
    lines.extend(config.warnings.iter().map(|warning| format!("warning       {warning}")));
    lines
}

fn presence(is_set: bool) -> &'static str {
    if is_set { "set" } else { "none" }
}

fn source(secret: Option<&SecretSource>) -> String {
    match secret {
        None => "none".to_owned(),
        Some(SecretSource::Given(_)) => "from the environment".to_owned(),
        Some(SecretSource::File(path)) => format!("from {}", path.display()),
    }
}

fn gateway_line(gateway: &Gateway) -> String {
    let place = gateway.address.as_ref().map_or_else(|| "found by mDNS".to_owned(), ToString::to_string);
    let mut parts = vec![place, format!("every {} s", gateway.interval.as_secs())];
    parts.extend(gateway.serial.as_ref().map(|serial| format!("serial {serial}")));
    parts.extend(gateway.insecure.then(|| "tls = \"insecure\"".to_owned()));
    parts.extend(gateway.live_data.then(|| "live data".to_owned()));
    parts.extend(gateway.user.as_ref().map(|user| format!("user {user}")));
    parts.extend(gateway.password.as_ref().map(|secret| format!("password {}", source(Some(secret)))));
    parts.join(", ")
}

fn broker(settings: &Mqtt) -> String {
    let scheme = if settings.address.tls { "mqtts" } else { "mqtt" };
    let discovery = settings.discovery.as_deref().unwrap_or("none");
    format!(
        "{scheme}://{}:{}, user {}, password {}, own CA {}, client certificate {}, topics {}, discovery {discovery}, \
         {} devices by idx",
        settings.address.host,
        settings.address.port,
        presence(settings.user.is_some()),
        presence(settings.password.is_some()),
        presence(settings.certificates.ca_file.is_some()),
        presence(settings.certificates.client_cert.is_some()),
        if settings.topics { "yes" } else { "no" },
        settings.idx.devices().count(),
    )
}
