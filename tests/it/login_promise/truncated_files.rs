//! Cuts the files of a login off at every byte.

use std::fs;
use std::time::Duration;

use enphased::rules::logins::clocks::GatewayTime;
use enphased::rules::logins::situation::Operator;
use enphased::simulator::Simulation;

use super::house::House;

const PASSWORD: &str = Simulation::PASSWORD;

/// Starts with each of `names` cut off at `cut`; returns whether there is a token. Does not use the gateway, because a poll
/// for each byte would take too long.
async fn start(house: &House, whole: &[(String, Vec<u8>)], names: &[&str], cut: usize) -> bool {
    for (name, bytes) in whole {
        let end = if names.contains(&name.as_str()) { cut.min(bytes.len() - 3) } else { bytes.len() };
        fs::write(house.state.path().join(name), &bytes[..end]).unwrap();
    }
    for name in house.state.names("", ".damaged").await.unwrap() {
        house.state.remove(&name).await.unwrap();
    }
    let (serial, now) = (house.serial(), GatewayTime::Time(house.clock.now()));
    let mut token_provider = house.token_provider(PASSWORD);
    token_provider.ensure_token(&serial, now, Operator::Absent, Duration::ZERO).await.unwrap();
    assert_eq!(house.counts().login_attempts, 1, "{names:?} cut at {cut} cost a login");
    token_provider.tokens(&serial).await.unwrap().in_use().is_some()
}

#[tokio::test(start_paused = true)]
async fn files_cut_off_at_any_byte_cost_no_login() {
    let house = House::in_memory();
    house.start(PASSWORD).await.unwrap();
    let serial = house.serial();
    let (token, copy) = (format!("token-{serial}.json"), format!("token-{serial}.copy.json"));
    let names = [token.as_str(), copy.as_str(), "logins.json"];
    let whole =
        names.map(|name| (name.to_owned(), fs::read(house.state.path().join(name)).unwrap())).to_vec();
    // Without the line break at the end, a file is still complete.
    for cut in 0..whole[0].1.len() - 2 {
        assert!(start(&house, &whole, &[&token], cut).await, "the copy serves, cut at {cut}");
        assert!(start(&house, &whole, &[&copy], cut).await, "the file serves, cut at {cut}");
        assert!(!start(&house, &whole, &[&token, &copy], cut).await, "a token from nowhere, cut at {cut}");
    }
    for cut in 0..whole[2].1.len() - 2 {
        assert!(start(&house, &whole, &["logins.json"], cut).await, "the token serves, cut at {cut}");
        assert!(!start(&house, &whole, &names, cut).await, "a token from nowhere, all cut at {cut}");
    }
}
