//! The configuration: located, parsed, checked and completed.
//!
//! There are three steps: the parsed file (`file.rs`), the check that completes it (`check.rs`), and the [`Config`] that
//! the program uses, which is always valid.

mod alerts;
mod check;
pub mod environment;
mod error;
mod file;
mod findings;
mod history;
pub mod options;
mod same_gateway;
pub mod secret;
mod server;
mod settings;
mod tables;
pub mod variables;
mod zone;

use std::fs;
use std::path::{Path, PathBuf};

use crate::io::files;
use environment::Environment;
use findings::Failure;

use error::MAX_PROBLEMS;
pub use error::{Error, Problem};
pub use file::EXAMPLE;
pub use settings::{
    AlertFormat, Alerts, Config, Format, Gateway, History, MAX_CONNECTIONS, Mqtt, Server, Service, Stdout,
};

/// The maximum size of a configuration file. A thousand gateways take a tenth of it.
const MAX_SIZE: u64 = 1 << 20;

/// The warning about a program that has been told nothing.
const NOTHING: &str = "there is no configuration: looking for a gateway by mDNS and writing its readings to standard output. \
                       Write a configuration file (`enphased config example` shows every key) to one of the searched places, \
                       or, in a container, set ENPHASED_GATEWAY and ENPHASED_MQTT_URL";

/// Loads the configuration from `path`, or `$ENPHASED_CONFIG`, or the first default location that exists. Without a file,
/// a key is that of the environment or its default, and the gateway is located by mDNS.
pub fn load(path: Option<&Path>, environment: &Environment) -> Result<Config, Error> {
    if let (None, Some(options)) = (path, &environment.options) {
        return of_options(options, environment);
    }
    let named = path.or(environment.config.as_deref());
    let default = || environment.search_paths.iter().map(PathBuf::as_path).find(|path| exists(path));
    let found = named.or_else(default);
    let Some(path) = found else {
        let mut config = complete("", None, environment)?;
        if !environment.variables.sets_more_than_a_listener() {
            let places: Vec<String> =
                environment.search_paths.iter().map(|path| path.display().to_string()).collect();
            config.warnings.push(format!("{NOTHING} (searched: {})", places.join(", ")));
        }
        return Ok(config);
    };
    let bytes = files::read_bounded(path, MAX_SIZE)
        .map_err(|source| Error::Unreadable { path: path.to_owned(), source })?;
    let text = str::from_utf8(&bytes).map_err(|error| {
        let problem = Problem(format!("it is not UTF-8 text ({error})"));
        Error::Invalid { path: path.to_owned(), problems: vec![problem] }
    })?;
    complete(text, Some(path), environment)
}

/// Loads the configuration from the options of the add-on.
fn of_options(path: &Path, environment: &Environment) -> Result<Config, Error> {
    let invalid = |problems| Error::Invalid { path: path.to_owned(), problems: limited(problems) };
    let bytes = files::read_bounded(path, MAX_SIZE)
        .map_err(|source| Error::Unreadable { path: path.to_owned(), source })?;
    let mapped = options::map(&String::from_utf8_lossy(&bytes), environment.mqtt_service.as_ref())
        .map_err(|problem| invalid(vec![problem]))?;
    let environment = Environment {
        password: mapped.password,
        mqtt_password: mapped.mqtt_password,
        // Those of the image, which are for a container without an add-on.
        variables: variables::Variables::default(),
        ..environment.clone()
    };
    let checked = check::check(mapped.file, Vec::new(), Some(path), &environment);
    let mut config = checked.map_err(|failure| match failure {
        Failure::Problems(problems) => invalid(problems),
        Failure::Secret(error) => Error::Secret(error),
    })?;
    config.warnings.extend(mapped.warnings);
    config.warnings.extend(environment.supervisor_trouble);
    Ok(config)
}

/// Returns whether a file exists. An error of the disk does not mean that it is missing; reading it reports the error.
fn exists(path: &Path) -> bool {
    fs::metadata(path).map_or_else(|error| !files::needs_a_person(&error), |_| true)
}

/// Checks and completes `text`, which was read from `path`.
pub fn complete(text: &str, path: Option<&Path>, environment: &Environment) -> Result<Config, Error> {
    let invalid = |problems| Error::Invalid {
        path: path.unwrap_or(Path::new("of the environment")).to_owned(),
        problems: limited(problems),
    };
    let (file, problems) = file::parse(text);
    check::check(file, problems, path, environment).map_err(|failure| match failure {
        Failure::Problems(problems) => invalid(problems),
        Failure::Secret(error) => Error::Secret(error),
    })
}

/// Keeps the first problems and the number of the others.
fn limited(mut problems: Vec<Problem>) -> Vec<Problem> {
    let more = problems.len().saturating_sub(MAX_PROBLEMS);
    problems.truncate(MAX_PROBLEMS);
    problems.extend((more > 0).then(|| Problem(format!("and {more} more"))));
    problems
}

#[cfg(test)]
mod tests {
    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use std::time::Duration;

    use super::secret::SecretSource;
    use super::*;
    use crate::base::secrets::Secret;

    fn completed(text: &str) -> Config {
        complete(text, None, &Environment::default()).unwrap()
    }

    /// Returns the problems with `text`, one per line.
    fn problems(text: &str) -> String {
        match complete(text, None, &Environment::default()).unwrap_err() {
            Error::Invalid { problems, .. } => {
                problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")
            }
            error => panic!("{text}: {error}"),
        }
    }

    /// Returns the example with every key enabled.
    fn whole_example() -> String {
        let switched_on = |line: &str| match line.strip_prefix('#') {
            Some(rest)
                if rest.starts_with('[') || rest.split_once(" = ").is_some_and(|(k, _)| !k.contains(' ')) =>
            {
                rest.to_owned()
            }
            _ => line.to_owned(),
        };
        let text = EXAMPLE.lines().map(switched_on).collect::<Vec<_>>().join("\n");
        // The broker's password file is read immediately, so it has to exist.
        text.replace("/etc/enphased/mqtt-password", concat!(env!("CARGO_MANIFEST_DIR"), "/LICENSE"))
    }

    #[test]
    fn an_empty_file_means_one_gateway_by_mdns_and_text() {
        let config = completed("");
        assert_eq!(config.gateways.len(), 1);
        assert_eq!(config.gateways[0].address, None);
        assert_eq!(config.gateways[0].interval, Duration::from_secs(30));
        assert_eq!(config.stdout.unwrap().format, Format::Text);
        assert!(config.mqtt.is_none());
    }

    #[test]
    fn the_example_is_valid_as_it_is_and_with_every_key_enabled() {
        assert!(completed(EXAMPLE).warnings.is_empty());
        let config = completed(&whole_example());
        assert_eq!(config.mqtt.unwrap().prefix, "enphased");
    }

    #[test]
    fn a_prefix_that_brokers_refuse_and_a_login_that_mqtt_has_no_room_for_are_problems() {
        let broker = |line: &str| format!("[mqtt]\n{line}\n");
        for word in
            ["a\\nb", "\\u0000", "a\\u0085", "a\\u202eb", "\\u001b[31m", "a/#", "$SYS", "", &"p".repeat(129)]
        {
            for key in ["prefix", "discovery_prefix"] {
                let problems = problems(&broker(&format!("{key} = \"{word}\"")));
                assert!(
                    problems.contains("this cannot be the beginning of a topic"),
                    "{key} {word}: {problems}"
                );
            }
        }
        for word in ["enphased", "häuser/süd 1", &"p".repeat(128)] {
            completed(&broker(&format!("prefix = \"{word}\"\ndiscovery_prefix = \"{word}\"")));
        }
        let problems = problems(&broker(&format!("user = \"{}\"", "u".repeat(65_536))));
        assert!(problems.contains("longer than MQTT allows"), "{problems}");
        completed(&broker(&format!("user = \"{}\"", "u".repeat(65_535))));
    }

    #[test]
    fn the_example_shows_every_key() {
        let (file, problems) = file::parse(&whole_example());
        assert_eq!(problems, []);
        let written = format!("{file:?}");
        assert!(!written.contains("None"), "a key is missing in the example: {written}");
    }

    #[test]
    fn the_example_shows_the_defaults() {
        let (plain, whole) = (completed("[mqtt]\n[stdout]\nformat = \"json\""), completed(&whole_example()));
        assert_eq!(plain.cloud, whole.cloud);
        assert_eq!(plain.gateways[0].interval, whole.gateways[0].interval);
        let (plain, whole) = (plain.mqtt.unwrap(), whole.mqtt.unwrap());
        assert_eq!((plain.prefix, plain.topics), (whole.prefix, whole.topics));
        assert_eq!(
            (plain.discovery, plain.inverters, plain.details, plain.commands),
            (whole.discovery, true, false, false)
        );
    }

    #[test]
    fn a_misspelt_key_is_reported_with_the_most_similar_one() {
        insta::assert_snapshot!(
            problems("state_dri = \"x\"\n[[gateway]]\nintervall = \"30s\"\n[mqtt]\npassword = \"x\"\n[could]\na = 1"),
            @"
        unknown key `could`; did you mean `cloud`?
        unknown key `intervall` in [gateway]; did you mean `interval`?
        unknown key `password` in [mqtt]; secrets do not belong in this file: write the password to a file of its own, and its path to `password_file`
        unknown key `state_dri`; did you mean `state_dir`?
        "
        );
    }

    #[test]
    fn all_wrong_values_are_reported_together() {
        insta::assert_snapshot!(
            problems(
                "time_zone = \"Mars/Olympus\"\n[cloud]\nentrez_url = \"http://entrez.enphaseenergy.com\"\n\
                 [[gateway]]\naddress = \"http://user:pw@host\"\n[[gateway]]\ninterval = \"2h\"\n\
                 [[gateway]]\ninterval = \"often\"\n[stdout]\nformat = \"xml\"\n[mqtt]\nurl = \"localhost\"\nprefix = \"a/#\""
            ),
            @r#"
        time_zone: there is no time zone "Mars/Olympus" on this machine; write one like "Europe/Amsterdam"
        gateway address: the address contains a user or a password; set the keys user and password_file instead
        gateway interval: "2h" is out of range; write "1s" to "1h"
        gateway interval: "often" is not a duration; write it like "30s" or "5m"
        cloud entrez_url: the password would be sent unencrypted; write https://
        stdout format: write "text", "json", "domoticz" or "influx"
        mqtt url: this is not the address of a broker; write mqtt://host, mqtt://host:1883 or mqtts://host:8883
        "#
        );
    }

    #[test]
    fn a_wrong_type_is_reported_with_its_line() {
        insta::assert_snapshot!(problems("[mqtt]\ntopics = \"yes\"\n"), @r#"line 2: invalid type: string "yes", expected a boolean"#);
        insta::assert_snapshot!(problems("[mqtt]\ndomoticz = { producton = 12 }\n"), @"line 2: there is no value `producton` for Domoticz; did you mean `production`?");
        insta::assert_snapshot!(problems("[cloud]\npassword = \"hunter2\n"), @r#"line 2: invalid basic string, expected `"`"#);
    }

    #[test]
    fn mistakes_of_every_kind_are_reported_together() {
        insta::assert_snapshot!(
            problems(
                "time_zone = 5\nstate_dri = \"x\"\n[[gateway]]\nadress = \"envoy\"\ninterval = \"2h\"\n[[gateway]]\n\
                 livedata = \"yes\"\n[stdout]\nformat = \"domoticz\"\ndomoticz = { producton = 12 }\n[mqtt]\nurl = \"localhost\""
            ),
            @r#"
        line 1: invalid type: integer `5`, expected a string
        line 7: invalid type: string "yes", expected a boolean
        line 10: there is no value `producton` for Domoticz; did you mean `production`?
        unknown key `adress` in [gateway]; did you mean `address`?
        unknown key `state_dri`; did you mean `state_dir`?
        gateway interval: "2h" is out of range; write "1s" to "1h"
        mqtt url: this is not the address of a broker; write mqtt://host, mqtt://host:1883 or mqtts://host:8883
        "#
        );
    }

    #[test]
    fn a_table_of_the_wrong_kind_or_text_that_is_not_toml_is_one_problem() {
        assert_eq!(problems("[gateway]\naddress = \"envoy\"\n").lines().count(), 1);
        assert_eq!(problems("time_zone = 5\n[cloud\nusername = 7").lines().count(), 1);
        assert_eq!(problems("gateway = 5\nmqtt = 6\nstdout = 7").lines().count(), 3);
    }

    #[test]
    fn the_names_of_gateways_are_short_and_differ() {
        let tables = |names: [&str; 2]| {
            format!(
                "[[gateway]]\naddress = \"a\"\nname = {:?}\n[[gateway]]\naddress = \"b\"\nname = {:?}",
                names[0], names[1]
            )
        };
        let config = completed(&tables(["East", " West 2"]));
        assert_eq!(
            config.gateways.iter().map(|gateway| gateway.name.as_deref()).collect::<Vec<_>>(),
            [Some("East"), Some("West 2")]
        );
        for (names, problem) in [
            (["East", "east"], "gateway name: two gateways are called \"east\""),
            (["South roof", "south-roof"], "gateway name: two gateways are called \"south-roof\""),
            (["East", "The garage on the left"], "gateway name: a name has at most 10 characters"),
            (["East", "<b>"], "gateway name: a name consists of letters, digits"),
            (["", "East"], "gateway name: a name needs at least one letter"),
        ] {
            let problems = problems(&tables(names));
            assert!(problems.starts_with(problem) && problems.lines().count() == 1, "{names:?}: {problems}");
        }
    }

    #[test]
    fn a_short_interval_is_allowed_and_warned_about() {
        assert_eq!(completed("[[gateway]]\ninterval = \"1s\"").warnings.len(), 1);
        assert!(completed("[[gateway]]\ninterval = \"1h\"").warnings.is_empty());
    }

    #[test]
    fn blanks_around_the_user_name_are_ignored_with_a_warning() {
        let config = completed("[cloud]\nusername = \"\\uFEFF owner@example.com\\n\"");
        assert_eq!(config.account.username.as_deref(), Some("owner@example.com"));
        assert!(config.warnings.concat().contains("username") && !config.warnings.concat().contains("owner"));
        assert!(completed("[cloud]\nusername = \"owner@example.com\"").warnings.is_empty());
    }

    #[test]
    fn plain_http_to_a_cloud_is_for_loopback_only() {
        let config = completed("[cloud]\nenlighten_url = \"http://127.0.0.1:8080/\"");
        assert_eq!(config.cloud.enlighten, "http://127.0.0.1:8080");
        assert!(problems("[cloud]\nenlighten_url = \"http://192.168.1.1\"").contains("unencrypted"));
    }

    #[test]
    fn the_password_comes_from_the_credential_the_file_or_the_environment() {
        let credentials = tempfile::tempdir().unwrap();
        let given = Secret::new("from the environment".to_owned());
        let mut environment = Environment { password: Some(given.clone()), ..Environment::default() };
        let source = |text: &str, environment: &Environment| {
            complete(text, None, environment).unwrap().account.password
        };
        let text = "[cloud]\npassword_file = \"/elsewhere\"";
        let elsewhere = Some(SecretSource::File("/elsewhere".into()));
        assert_eq!(source("", &environment), Some(SecretSource::Given(given.clone())));
        assert_eq!(source(text, &environment), elsewhere);
        environment.credentials = Some(credentials.path().to_owned());
        let credential = credentials.path().join("enlighten-password");
        fs::write(&credential, "\n").unwrap();
        assert_eq!(source("", &environment), Some(SecretSource::Given(given)), "an empty one is none");
        assert_eq!(source(text, &environment), elsewhere);
        fs::write(&credential, "secret\n").unwrap();
        assert_eq!(source(text, &environment), Some(SecretSource::File(credential)));
    }

    #[test]
    fn a_configuration_or_password_that_is_not_a_regular_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (fifo, config) = (dir.path().join("fifo"), dir.path().join("config.toml"));
        mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let words = |path: &Path| {
            let error = load(Some(path), &Environment::default()).unwrap_err();
            let problems = error.problems().first().map(Problem::to_string);
            problems.unwrap_or_else(|| error.to_string())
        };
        assert!(words(&fifo).ends_with("it is a FIFO, not a regular file"), "{}", words(&fifo));
        assert!(words(Path::new("/dev/zero")).ends_with("it is a device, not a regular file"));
        assert!(words(dir.path()).ends_with("it is a directory, not a regular file"));
        fs::write(&config, vec![b'#'; 2 << 20]).unwrap();
        assert!(words(&config).ends_with("it is larger than 1048576 bytes"), "{}", words(&config));
        fs::write(&config, b"[[gateway]]\nserial = \"\xff\"").unwrap();
        assert!(words(&config).contains("it is not UTF-8 text"), "{}", words(&config));
        fs::write(&config, format!("[mqtt]\npassword_file = {fifo:?}")).unwrap();
        assert!(words(&config).ends_with("it is a FIFO, not a regular file"), "{}", words(&config));
    }

    #[test]
    fn a_file_full_of_mistakes_is_reported_in_a_few_lines() {
        let lines: Vec<String> = (0..5000).map(|n| format!("key_{n} = 1")).collect();
        let said = problems(&lines.join("\n"));
        assert_eq!(said.lines().count(), MAX_PROBLEMS + 1);
        assert!(said.ends_with("and 4980 more"), "{said}");
    }

    #[test]
    fn without_a_file_and_without_variables_the_next_step_is_said() {
        let missing = PathBuf::from("/nonexistent/config.toml");
        let warnings = |variables: &[(&str, &str)]| {
            let read = |name: &str| {
                variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            };
            let environment = Environment {
                search_paths: vec![missing.clone()],
                ..Environment::collect(read, std::iter::empty())
            };
            load(None, &environment).unwrap().warnings.join("\n")
        };
        for nothing in [&[] as &[(&str, &str)], &[("ENPHASED_LISTEN", "127.0.0.1:8480")]] {
            let said = warnings(nothing);
            assert!(
                said.contains("set ENPHASED_GATEWAY")
                    && said.ends_with("(searched: /nonexistent/config.toml)")
            );
        }
        assert_eq!(warnings(&[("ENPHASED_GATEWAY", "envoy.local")]), "");
    }

    #[test]
    fn the_first_configuration_that_exists_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let (first, second) = (dir.path().join("a.toml"), dir.path().join("b.toml"));
        fs::write(&second, "[stdout]\nformat = \"json\"").unwrap();
        let environment =
            Environment { search_paths: vec![first.clone(), second.clone()], ..Environment::default() };
        assert_eq!(load(None, &environment).unwrap().path, Some(second));
        assert!(matches!(load(Some(&first), &environment), Err(Error::Unreadable { .. })));
    }
}
