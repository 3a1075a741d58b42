//! Writes the manual pages and the shell completions:  cargo run --example manual -- DIRECTORY
//!
//! They are generated from the definition of the commands, so they always match. The package contains their files, but
//! not this program.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use enphased::app::cli;
use enphased::base::version::VERSION;

const FILES: &[(&str, &str)] = &[
    (
        "~/.config/enphased/config.toml, /etc/enphased/config.toml",
        "The configuration file, unless --config is used.",
    ),
    (
        "/etc/enphased/password, /etc/enphased/mqtt-password, /etc/enphased/alerts-url",
        "The passwords and the address for alerts, which systemd passes to the service as credentials.",
    ),
    (
        "/var/lib/enphased",
        "Tokens, the record of logins, gateway keys and totals. Only the daemon and root can read it.",
    ),
];

const ENVIRONMENT: &[(&str, &str)] = &[
    ("ENPHASED_CONFIG", "The configuration file."),
    (
        "ENPHASED_GATEWAY, ENPHASED_INTERVAL, ENPHASED_USERNAME, ENPHASED_PASSWORD_FILE, ENPHASED_MQTT_URL, ENPHASED_MQTT_USER, \
         ENPHASED_MQTT_PASSWORD_FILE, ENPHASED_HOMEASSISTANT, ENPHASED_LISTEN, ENPHASED_OPEN_TO",
        "Keys of the configuration that the file leaves out, for containers.",
    ),
    (
        "ENPHASED_PASSWORD, ENPHASED_MQTT_PASSWORD, ENPHASED_ALERTS_URL",
        "The passwords and the address for alerts, if there is neither a credential nor a file.",
    ),
    ("RUST_LOG", "The log filter: levels and target=level, separated by commas."),
    ("NO_COLOR", "Disables colours."),
    (
        "STATE_DIRECTORY, CREDENTIALS_DIRECTORY, NOTIFY_SOCKET, WATCHDOG_USEC",
        "Set by systemd for the service.",
    ),
];

const EXIT_STATUS: &[(&str, &str)] = &[
    ("0", "Success."),
    ("1", "check --health: the daemon is not ready, or cannot be asked."),
    ("64, 65", "Invalid command line; invalid input."),
    ("69", "Something is missing, e.g. no gateway was found."),
    ("73, 74", "A file cannot be created; reading or writing failed."),
    ("75", "Temporary failure; try again later."),
    ("77", "The cloud or the gateway refused the credentials."),
    ("78", "The configuration is invalid; systemd does not restart the service."),
];

fn main() -> io::Result<()> {
    let Some(out) = std::env::args_os().nth(1).map(PathBuf::from) else {
        return Err(io::Error::other("usage: manual DIRECTORY"));
    };
    fs::create_dir_all(&out)?;
    // Without the commit, which is unknown to a debug build, such as this program.
    let command = || cli::command().version(VERSION);
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut command(), "enphased", &out)?;
    }
    clap_mangen::generate_to(command(), &out)?;
    overview(command(), &out)
}

/// Writes the page of the program itself, with the sections that apply to all commands.
fn overview(command: clap::Command, out: &Path) -> io::Result<()> {
    let man = Man::new(command);
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    man.render_subcommands_section(&mut page)?;
    for (title, rows) in [("FILES", FILES), ("ENVIRONMENT", ENVIRONMENT), ("EXIT STATUS", EXIT_STATUS)] {
        section(title, rows).to_writer(&mut page)?;
    }
    let mut more = Roff::new();
    more.control("SH", ["SEE ALSO"]);
    more.text([roman("/usr/share/doc/enphased/README.md, /usr/share/doc/enphased/docs, /usr/share/doc/enphased/examples/config.toml")]);
    more.to_writer(&mut page)?;
    fs::write(out.join("enphased.1"), page)
}

fn section(title: &str, rows: &[(&str, &str)]) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", [title]);
    for (term, meaning) in rows {
        roff.control("TP", []).text([bold(*term)]).text([roman(*meaning)]);
    }
    roff
}
