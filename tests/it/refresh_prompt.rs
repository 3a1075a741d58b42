//! Tests `token refresh` with a person who types the password.

use enphased::app::commands::Context;
use enphased::app::commands::failure::Code;
use enphased::app::commands::token::{Prompt, refresh};
use enphased::app::config;
use enphased::app::config::environment::Environment;
use enphased::base::clock::Clock;
use enphased::base::secrets::Secret;
use enphased::simulator::{Simulation, SimulationOptions};
use fastrand::Rng;

/// A person with a password, or nobody.
struct Person(Option<&'static str>);

impl Prompt for Person {
    fn line(&mut self, _question: &str) -> Option<String> {
        self.0.map(|_| Simulation::EMAIL.to_owned())
    }

    fn hidden(&mut self, _question: &str) -> Option<Secret> {
        self.0.map(|password| Secret::new(password.to_owned()))
    }

    fn code(&mut self, _question: &str) -> Option<Secret> {
        None
    }
}

fn context(simulation: &Simulation, state: &tempfile::TempDir) -> Context {
    let text = simulation.config_toml(state.path(), "");
    let environment = Environment::default();
    let mut config = config::complete(&text, None, &environment).unwrap();
    config.account.username = None;
    Context::new(config, environment, Clock::system(), Rng::with_seed(3))
}

#[tokio::test]
async fn a_password_that_is_asked_for_is_kept_nowhere() {
    let simulation = Simulation::start(&Clock::system(), SimulationOptions::default()).unwrap();
    let state = tempfile::tempdir().unwrap();
    let mut out = Vec::new();
    let mut person = Person(Some(Simulation::PASSWORD));
    refresh::refresh(&mut context(&simulation, &state), None, false, &mut person, &mut out).await.unwrap();
    let said = String::from_utf8(out).unwrap();
    assert!(said.contains("The gateway accepted it"), "{said}");
    assert_eq!(simulation.cloud.counts().logins, 1);
    let asked = simulation.gateways[0].counts();
    assert_eq!((asked.requests, asked.connections), (2, 1), "it is asked who it is, and about the token");
    let mut tokens = 0;
    for entry in std::fs::read_dir(state.path()).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        assert!(!text.contains(Simulation::PASSWORD), "{text}");
        tokens += usize::from(text.contains("eyJ"));
    }
    assert_eq!(tokens, 2, "the token and its copy");
}

#[tokio::test]
async fn where_nobody_answers_nothing_is_sent() {
    let simulation = Simulation::start(&Clock::system(), SimulationOptions::default()).unwrap();
    let state = tempfile::tempdir().unwrap();
    let mut context = context(&simulation, &state);
    let refused = refresh::refresh(&mut context, None, false, &mut Person(None), &mut Vec::new()).await;
    assert_eq!(refused.unwrap_err().code, Code::Configuration);
    assert_eq!(simulation.cloud.counts().login_attempts, 0);
}

#[tokio::test]
async fn a_wrong_password_leaves_the_old_token_in_use() {
    let simulation = Simulation::start(&Clock::system(), SimulationOptions::default()).unwrap();
    let state = tempfile::tempdir().unwrap();
    let mut right = Person(Some(Simulation::PASSWORD));
    refresh::refresh(&mut context(&simulation, &state), None, false, &mut right, &mut Vec::new())
        .await
        .unwrap();
    let serial = simulation.gateways[0].serial();
    let before = std::fs::read(state.path().join(format!("token-{serial}.json"))).unwrap();
    let mut wrong = Person(Some("wrong"));
    let failed =
        refresh::refresh(&mut context(&simulation, &state), None, true, &mut wrong, &mut Vec::new()).await;
    assert_eq!(failed.unwrap_err().code, Code::Refused);
    assert_eq!(std::fs::read(state.path().join(format!("token-{serial}.json"))).unwrap(), before);
}
