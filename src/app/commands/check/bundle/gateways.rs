//! Describes a gateway: its identity, and the response to each of its pages.

use jiff::Timestamp;

use super::super::super::Context;
use super::super::super::opened_gateways::open;
use crate::app::config;
use crate::base::body_shape;
use crate::base::durations::length;
use crate::io::gateway::info::Info;
use crate::io::gateway::{Connected, Endpoint};
use crate::io::state_dir::StateDir;
use crate::io::token::store;

/// Every page that the program reads on some firmware.
const PAGES: [Endpoint; 17] = [
    Endpoint::Meters,
    Endpoint::MeterReadings,
    Endpoint::Production,
    Endpoint::Inverters,
    Endpoint::DeviceData,
    Endpoint::Energy,
    Endpoint::EnsembleInventory,
    Endpoint::EnsemblePower,
    Endpoint::EnsembleSecctrl,
    Endpoint::DryContacts,
    Endpoint::DryContactSettings,
    Endpoint::EnsembleGenerator,
    Endpoint::Tariff,
    Endpoint::LiveData,
    Endpoint::ProductionJson,
    Endpoint::Inventory,
    Endpoint::ProductionHtml,
];

/// Identifies one gateway and requests each page once.
pub(super) async fn lines(context: &Context, settings: &config::Gateway, state: &StateDir) -> Vec<String> {
    let mut gateway = match open(context, settings, state).await {
        Ok(gateway) => gateway,
        Err(trouble) => return vec![trouble.to_string()],
    };
    let mut lines = identity(gateway.info(), context.clock.now());
    lines.extend(gateway.key().map(|key| format!("key       {key}")));
    if gateway.info().needs_token() {
        let stored = store::load(state, gateway.serial()).await.map_err(|error| error.to_string());
        let used = stored.and_then(|loaded| match loaded.tokens.in_use() {
            Some(kept) => gateway.use_token(&kept.token).map_err(|error| error.to_string()),
            None => Ok(()),
        });
        lines.extend(used.err());
    }
    lines.extend(pages(&mut gateway).await);
    lines
}

fn identity(info: &Info, now: Timestamp) -> Vec<String> {
    let answer = |flag: Option<bool>| flag.map_or("not reported", |yes| if yes { "yes" } else { "no" });
    let clock = info.time.map_or_else(
        || "not reported".to_owned(),
        |time| format!("differs by {}", length(time.duration_since(now).unsigned_abs())),
    );
    vec![
        format!("serial    {}", info.serial),
        format!("firmware  {}", info.software),
        format!("part      {}", info.part_number.as_deref().unwrap_or("not reported")),
        format!("metered   {}", answer(info.metered_model)),
        format!("tokens    {}", answer(info.web_tokens)),
        format!("clock     {clock}"),
    ]
}

async fn pages(gateway: &mut Connected) -> Vec<String> {
    let mut lines = Vec::new();
    for endpoint in PAGES {
        let path = endpoint.path();
        lines.push(match gateway.get(endpoint).await {
            Ok(body) => format!("{path}  200, {} bytes: {}", body.len(), body_shape::describe(&body)),
            Err(error) => format!("{path}  {error}"),
        });
    }
    lines
}
