//! The build script: passes the commit and its date to the program, which `enphased --version` shows.
//!
//! The same source gives the same text: nothing depends on the time of the build or on uncommitted changes. Only a release
//! build asks git, because otherwise each commit would rebuild everything.

#![expect(clippy::disallowed_methods, reason = "a build script is controlled by its environment")]
#![expect(clippy::print_stdout, reason = "this is how a build script speaks to cargo")]

use std::env;
use std::path::Path;
use std::process::Command;

/// The commit and the date of a source archive, which git writes here (`.gitattributes`).
const ARCHIVED: &str = "$Format:%H %cs$";

fn main() {
    println!("cargo::rerun-if-changed=systemd/commit.rs");
    println!("cargo::rerun-if-env-changed=ENPHASED_COMMIT");
    let build = given().or_else(archived).or_else(checked_out).unwrap_or_else(|| "unknown commit".to_owned());
    println!("cargo::rustc-env=ENPHASED_BUILD={build}");
}

/// Returns the commit and date that a packager sets.
fn given() -> Option<String> {
    env::var("ENPHASED_COMMIT").ok().filter(|text| !text.is_empty() && !text.contains('\n'))
}

/// Returns the commit and date of a source archive.
fn archived() -> Option<String> {
    let is_replaced = !ARCHIVED.contains("Format");
    is_replaced.then(|| ARCHIVED.to_owned()).and_then(|text| shortened(&text))
}

/// Returns the commit and date of the repository.
fn checked_out() -> Option<String> {
    if env::var("PROFILE").is_ok_and(|profile| profile == "debug") {
        return Some("development build".to_owned());
    }
    // The archive may have been unpacked inside of another repository.
    let top = git(&["rev-parse", "--show-toplevel"])?;
    let here = env::var("CARGO_MANIFEST_DIR").ok()?;
    if Path::new(&top).canonicalize().ok()? != Path::new(&here).canonicalize().ok()? {
        return None;
    }
    for name in ["HEAD", "logs/HEAD"] {
        let path = git(&["rev-parse", "--git-path", name])?;
        // cargo would run this script each time for a file that is missing.
        if Path::new(&path).exists() {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    shortened(&git(&["log", "-1", "--format=%H %cs"])?)
}

/// Shortens the hash. git's own short form depends on how much of the history is present.
fn shortened(text: &str) -> Option<String> {
    let (hash, date) = text.split_once(' ')?;
    Some(format!("{} {date}", hash.get(..12)?))
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}
