//! Writes the manual pages and the completions of the shells:  cargo run --example manual -- DIRECTORY
//!
//! They come from the commands as they are defined, so they cannot tell another story. This program is not
//! shipped; the package holds what it wrote.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use enphased::app::cli;

const FILES: &[(&str, &str)] = &[
    (
        "~/.config/enphased/config.toml, /etc/enphased/config.toml",
        "The configuration, unless --config names another.",
    ),
    (
        "/etc/enphased/password, /etc/enphased/mqtt-password",
        "The passwords, which the service gets as credentials.",
    ),
    (
        "/var/lib/enphased",
        "Tokens, the record of logins, the keys of gateways, totals. Closed to all but the daemon and root.",
    ),
];

const ENVIRONMENT: &[(&str, &str)] = &[
    ("ENPHASED_CONFIG", "The configuration file."),
    (
        "ENPHASED_PASSWORD, ENPHASED_MQTT_PASSWORD",
        "The passwords, where no credential and no file holds them.",
    ),
    ("RUST_LOG", "What is logged: a level, or target=level with commas between."),
    ("NO_COLOR", "No colours."),
    (
        "STATE_DIRECTORY, CREDENTIALS_DIRECTORY, NOTIFY_SOCKET, WATCHDOG_USEC",
        "Set by systemd for the service.",
    ),
];

const EXIT_STATUS: &[(&str, &str)] = &[
    ("0", "Done."),
    ("64, 65", "The command line, or what was given to it, is wrong."),
    ("69", "What is needed is not there, e.g. no gateway was found."),
    ("73, 74", "A file cannot be written; reading or writing failed."),
    ("75", "Not now: try later."),
    ("77", "The cloud or the gateway refused."),
    ("78", "The configuration is wrong; systemd does not restart."),
];

fn main() -> io::Result<()> {
    let Some(out) = std::env::args_os().nth(1).map(PathBuf::from) else {
        return Err(io::Error::other("where to? usage: manual DIRECTORY"));
    };
    fs::create_dir_all(&out)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut cli::command(), "enphased", &out)?;
    }
    clap_mangen::generate_to(cli::command(), &out)?;
    overview(&out)
}

/// The page of the program itself, with what belongs to all commands.
fn overview(out: &Path) -> io::Result<()> {
    let man = Man::new(cli::command());
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
