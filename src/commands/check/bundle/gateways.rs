//! What a gateway says of itself, and what each of its pages answers.

use jiff::Timestamp;

use super::super::super::Context;
use super::super::gateway::reach;
use super::super::shape;
use crate::config;
use crate::gateway::Endpoint;
use crate::gateway::client::Client;
use crate::logins::words::length;
use crate::poller::identity::Identity;
use crate::state::StateDir;
use crate::token::store;

/// Every page that is read on some firmware.
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

/// Looks at one gateway, and asks it each page once.
pub(super) async fn lines(context: &Context, settings: &config::Gateway, state: &StateDir) -> Vec<String> {
    let (mut client, identity) = match reach(context, settings, state).await {
        Ok(reached) => reached,
        Err(trouble) => return vec![trouble.to_string()],
    };
    let mut lines = about(&identity, context.clock.now());
    lines.extend(client.trust().seen().map(|key| format!("key       {key}")));
    if identity.info.needs_token() {
        match store::load(state, &identity.serial) {
            Ok(loaded) => client.use_token(loaded.tokens.in_use().map(|kept| &kept.token.secret)),
            Err(error) => lines.push(error.to_string()),
        }
    }
    lines.extend(pages(&mut client).await);
    lines
}

fn about(identity: &Identity, now: Timestamp) -> Vec<String> {
    let info = &identity.info;
    let says = |flag: Option<bool>| flag.map_or("not said", |yes| if yes { "yes" } else { "no" });
    let clock = info.time.map_or_else(
        || "not told".to_owned(),
        |time| format!("differs by {}", length(time.duration_since(now).unsigned_abs())),
    );
    vec![
        format!("serial    {}", identity.serial),
        format!("firmware  {}", info.software),
        format!("part      {}", info.part_number.as_deref().unwrap_or("not said")),
        format!("metered   {}", says(info.metered_model)),
        format!("tokens    {}", says(info.web_tokens)),
        format!("clock     {clock}"),
    ]
}

async fn pages(client: &mut Client) -> Vec<String> {
    let mut lines = Vec::new();
    for endpoint in PAGES {
        let path = endpoint.path();
        lines.push(match client.get(endpoint).await {
            Ok(body) => format!("{path}  200, {} bytes: {}", body.len(), shape::of(&body)),
            Err(error) => format!("{path}  {error}"),
        });
    }
    lines
}
