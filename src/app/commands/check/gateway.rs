//! What `check` finds at a gateway: who it is, its key, its clock, the token; and its pages, see [`super::pages`].

use super::super::Context;
use super::super::failure::{Code, Failure};
use super::super::reach::open;
use super::pages::Look;
use super::report::Report;
use crate::app::config;
use crate::app::poller::claims::{Claim, Claims};
use crate::app::poller::identity::heard;
use crate::app::poller::trouble::Trouble;
use crate::io::gateway::Connected;
use crate::io::state_dir::StateDir;
use crate::rules::logins::age::{AGREEMENT, Heard, Sight};
use crate::rules::logins::situation::Operator;
use crate::rules::logins::words::length;

/// Looks at one gateway. Returns the claim to it, which another table that leads to it does not get.
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
    report.good("gateway", &format!("{} with firmware {firmware} answers", gateway.serial()))?;
    if settings.insecure {
        report.note("key", "any certificate is accepted (tls = \"insecure\"): whoever is in the network can pose as the gateway")?;
    } else if let Some(key) = gateway.key() {
        report.good("key", &format!("{key} is the one that is trusted"))?;
    } else {
        report.note("key", "this firmware speaks plain http; nothing proves that it is the gateway")?;
    }
    clock(context, &gateway, report)?;
    if gateway.info().needs_token() && !token(context, state, &mut gateway, report).await? {
        return Ok(Some(claim));
    }
    let mut look = Look::at(&gateway, settings.live_data);
    look.read(&mut gateway, context.clock.now()).await;
    look.ask_the_rest(&mut gateway).await;
    look.write(gateway.info().needs_token(), report)?;
    Ok(Some(claim))
}

fn clock(context: &Context, gateway: &Connected, report: &mut Report<'_>) -> Result<(), Failure> {
    let now = context.clock.now();
    let Some(theirs) = gateway.info().time else {
        return report.note("clock", "the gateway does not tell the time, so a token that it refuses is only replaced when it expires or by `enphased token refresh`");
    };
    let sight = Sight::new(context.clock.moment(), Heard::Time(theirs));
    let difference = length(theirs.duration_since(now).unsigned_abs());
    if sight.clocks_agree() {
        return report.good("clock", &format!("{now:.0}; the gateway's differs by {difference}"));
    }
    report.note(
        "clock",
        &format!(
            "this machine says {now:.0}, the gateway {theirs:.0}: {difference} apart, and no more than {} is usual. \
             Readings do not suffer; a token is not replaced while they disagree. Does this machine's time come from \
             the network (timedatectl)?",
            length(AGREEMENT)
        ),
    )
}

/// `true` when the client can read pages with a token.
async fn token(
    context: &mut Context,
    state: &StateDir,
    gateway: &mut Connected,
    report: &mut Report<'_>,
) -> Result<bool, Failure> {
    let shared = context.shared(state);
    let mut supply = shared.supply.lock().await;
    let serial = gateway.serial().clone();
    let tokens = supply.tokens(&serial).await?;
    let Some(kept) = tokens.in_use() else {
        let decision = supply.consider(&serial, heard(gateway), Operator::Absent).await?;
        let code = Code::of_decision(&decision);
        report.wrong("token", &Failure::new(code, format!("there is none. {decision}")))?;
        return Ok(false);
    };
    let about = format!("{}, good until {:.0}", kept.token.role, kept.token.expires_at);
    let accepted = match gateway.use_token(&kept.token) {
        Ok(()) => gateway.check_token(&kept.token).await,
        refused => refused,
    };
    match accepted {
        Ok(()) => {
            // It ends a row of refusals, whoever asks. Where that cannot be written down, the state line says why.
            supply.accepted(&serial, &kept.token).await.unwrap_or_else(|error| tracing::debug!("{error}"));
            report.good("token", &format!("{about}; the gateway accepts it"))?;
        }
        Err(error) if error.leaves_token_unjudged() => {
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
        report.note("token", "it lives for hours only, and is not renewed by itself")?;
    }
    Ok(true)
}
