//! Tests what a release is made of: the version in every place, and the text from the changelog.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn text(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn notes(version: &str, changelog: Option<&Path>) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/release-notes");
    Command::new(script).arg(version).args(changelog).output().unwrap()
}

#[test]
fn the_text_of_a_release_is_the_section_of_its_version() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let changelog = "# Changelog\n\n## Unreleased\n\n- later\n\n## 1.10.0\n\n### Added\n\n- `a`: ten\n\n- b\n\n## [1.1.0]\n\n- one\n\n## 1.0.0\n";
    fs::write(file.path(), changelog).unwrap();
    for (version, section) in [("1.10.0", "### Added\n\n- `a`: ten\n\n- b\n"), ("1.1.0", "- one\n")] {
        let output = notes(version, Some(file.path()));
        assert!(output.status.success(), "{output:?}");
        assert_eq!(String::from_utf8(output.stdout).unwrap(), section);
    }
    for version in ["1.0.0", "1.1", "2.0.0"] {
        let output = notes(version, Some(file.path()));
        assert_eq!(output.status.code(), Some(65), "{version}");
        assert!(String::from_utf8(output.stderr).unwrap().contains(version));
    }
}

#[test]
fn this_version_has_a_section_in_the_changelog() {
    let output = notes(VERSION, None);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn every_place_names_this_version() {
    assert!(text("systemd/debian/changelog").starts_with(&format!("enphased ({VERSION}-1) ")));
    for (path, name) in [
        ("README.md", format!("enphased_{VERSION}-1_arm64.deb")),
        ("docs/install.md", format!("enphased_{VERSION}-1_arm64.deb")),
        ("docs/container.md", format!("enphased:{VERSION}")),
        ("systemd/addon/enphased/config.yaml", format!("version: \"{VERSION}\"")),
        ("systemd/addon/enphased/Dockerfile", format!("BUILD_VERSION={VERSION}")),
        ("docs/compose.yaml", format!("image: enphased:{VERSION}")),
    ] {
        assert!(text(path).contains(&name), "{path} does not name {name}");
    }
}
