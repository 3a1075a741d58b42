//! Checks one gateway: its identity, key, clock and token, and its pages (see [`super::pages`]).

use super::super::Context;
use super::super::failure::{Code, Failure};
use super::super::opened_gateways::open;
use super::pages::PageCheck;
use super::report::Report;
use crate::app::config;
use crate::app::poller::claims::{Claim, Claims};
use crate::app::poller::gateway_time::gateway_time;
use crate::app::poller::trouble::Trouble;
use crate::base::durations::length;
use crate::io::gateway::Connected;
use crate::io::state_dir::StateDir;
use crate::rules::logins::clocks::{AGREEMENT, Clocks, GatewayTime};
use crate::rules::logins::situation::Operator;

/// Checks one gateway. Returns the claim on it, which another table that leads to the same gateway does not get.
pub(super) async fn gateway(
    context: &mut Context,
    settings: &config::Gateway,
    state: &StateDir,
    claims: &Claims,
    report: &mut Report<'_>,
) -> Result<Option<Claim>, Failure> {
    let mut gateway = match open(context, settings, state).await {
        Ok(gateway) => gateway,
        Err(trouble) => return report.wrong("gateway", &trouble.into()).map(|()| None),
    };
    let claim = match claims.claim(gateway.serial(), &settings.to_string()) {
        Ok(claim) => claim,
        Err(first) => {
            let (serial, second) = (gateway.serial().clone(), settings.to_string());
            let trouble = Trouble::ReadAlready { serial, first, second };
            return report.wrong("gateway", &trouble.into()).map(|()| None);
        }
    };
    let firmware = &gateway.info().software;
    report.good("gateway", &format!("{} with firmware {firmware} responded", gateway.serial()))?;
    if settings.insecure {
        report.note("key", "any certificate is accepted (tls = \"insecure\"), so another device in the network can impersonate the gateway")?;
    } else if let Some(key) = gateway.key() {
        report.good("key", &format!("{key}, the trusted key"))?;
    } else {
        report.note("key", "this firmware uses plain http, so its identity cannot be verified")?;
    }
    clock(context, &gateway, report)?;
    if gateway.info().needs_token() && !token(context, state, &mut gateway, report).await? {
        return Ok(Some(claim));
    }
    let mut pages = PageCheck::new(&gateway, settings.live_data);
    pages.read(&mut gateway, context.clock.now()).await;
    pages.request_others(&mut gateway).await;
    pages.write(gateway.info().needs_token(), report)?;
    Ok(Some(claim))
}

fn clock(context: &Context, gateway: &Connected, report: &mut Report<'_>) -> Result<(), Failure> {
    let now = context.clock.now();
    let Some(theirs) = gateway.info().time else {
        return report.note("clock", "the gateway does not report the time, so a refused token is replaced only when it expires or by `enphased token refresh`");
    };
    let clocks = Clocks::new(context.clock.moment(), GatewayTime::Time(theirs));
    let difference = length(theirs.duration_since(now).unsigned_abs());
    if clocks.clocks_agree() {
        return report.good("clock", &format!("{now:.0}; the gateway's differs by {difference}"));
    }
    report.note(
        "clock",
        &format!(
            "this machine's clock says {now:.0}, the gateway's {theirs:.0}: {difference} apart, and up to {} is usual. \
             Readings are not affected, but no token is replaced while the clocks disagree. Check with `timedatectl` \
             that this machine synchronises its clock",
            length(AGREEMENT)
        ),
    )
}

/// Checks the token, and returns whether pages can be read with it.
async fn token(
    context: &mut Context,
    state: &StateDir,
    gateway: &mut Connected,
    report: &mut Report<'_>,
) -> Result<bool, Failure> {
    let shared = context.shared(state);
    let mut token_provider = shared.token_provider.lock().await;
    let serial = gateway.serial().clone();
    let tokens = token_provider.tokens(&serial).await?;
    let Some(kept) = tokens.in_use() else {
        let decision = token_provider.consider(&serial, gateway_time(gateway), Operator::Absent).await?;
        let code = Code::of_decision(&decision);
        report.wrong("token", &Failure::new(code, format!("no token is stored: {decision}")))?;
        return Ok(false);
    };
    let about = format!("{}, valid until {:.0}", kept.token.role, kept.token.expires_at);
    let accepted = match gateway.use_token(&kept.token) {
        Ok(()) => gateway.check_token(&kept.token).await,
        refused => refused,
    };
    match accepted {
        Ok(()) => {
            // An acceptance clears earlier refusals. If it cannot be recorded, the line `state` shows the reason.
            token_provider
                .accepted(&serial, &kept.token)
                .await
                .unwrap_or_else(|error| tracing::debug!("{error}"));
            report.good("token", &format!("{about}; accepted by the gateway"))?;
        }
        Err(error) if error.says_nothing_about_token() => {
            let message = format!("{about}; the gateway neither accepts nor refuses it: {error}");
            report.note("token", &message)?;
        }
        Err(error) => {
            let message = format!("{about}; {error}");
            report.wrong("token", &Failure { message, ..Trouble::from(error).into() })?;
            return Ok(false);
        }
    }
    if !kept.token.is_long_lived() {
        report.note("token", "this token is valid for hours only and is not renewed automatically")?;
    }
    Ok(true)
}
