//! Tests the redacted report of `check --bundle`.

use enphased::simulator::{Condition, Simulation};

use super::site::{Site, text};

/// Removes the parts that differ between machines and runs.
fn plain(report: &str) -> String {
    let time = |word: &str| {
        word.trim_end_matches([',', ';', ':']).len() == 20 && word.contains('T') && word.contains('Z')
    };
    // The port, which follows an address.
    let report =
        report.split("<address 1>:").enumerate().fold(String::new(), |text, (place, part)| match place {
            0 => text + part,
            _ => text + "<address 1>:PORT" + part.trim_start_matches(|c: char| c.is_ascii_digit()),
        });
    let mut section = "";
    let mut lines = Vec::new();
    for line in report.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            section = heading;
        }
        let machine = section == "program" && line.starts_with("    ") && !line.contains("version");
        if machine {
            continue;
        }
        let words: Vec<String> = line
            .split(' ')
            .zip(line.split(' ').skip(1).chain([""]))
            .map(|(word, next)| match next {
                _ if time(word) => word.replace(word.trim_end_matches([',', ';', ':']), "TIME"),
                next if next.starts_with("bytes") => "…".to_owned(),
                _ if word.contains("/.tmp") => {
                    "/DIR".to_owned()
                        + word.rsplit_once("/.tmp").unwrap().1.split_once('/').map_or("", |(_, rest)| rest)
                }
                _ => word.to_owned(),
            })
            .collect();
        let line = words.join(" ");
        let line = match line.split_once(" bytes, ") {
            Some((start, _)) if section == "state" => format!("{start} bytes"),
            _ => line,
        };
        let line =
            line.split_once("differs by").map_or(line.clone(), |(start, _)| format!("{start}differs by …"));
        // The commit, where the program is that of a package.
        let line = match line.split_once(" (") {
            Some((start, _)) if line.trim_start().starts_with("version ") => format!("{start} (…)"),
            _ => line,
        };
        // Which page is the slowest is chance.
        let line = line
            .split_once("the gateway took ")
            .map_or(line.clone(), |(start, _)| format!("{start}the gateway took …"));
        lines.push(line);
    }
    lines.join("\n")
}

#[tokio::test]
async fn a_report_shows_the_structure_and_nothing_private() {
    let site = Site::new();
    assert!(site.run(&["token", "refresh"]).await.status.success());
    let output = site.run(&["check", "--bundle"]).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    let report = text(&output.stdout);
    for private in [Simulation::EMAIL, Simulation::PASSWORD, &site.gateway().serial(), "127.0.0.1", "eyJ"] {
        assert!(!report.contains(private), "{private} in\n{report}");
    }
    for secret in site.simulation.cloud.secrets() {
        assert!(!report.contains(&secret), "{report}");
    }
    assert_eq!(site.logins(), (1, 1, 1));
    insta::assert_snapshot!("a_report", plain(&report));
}

#[tokio::test]
async fn a_report_is_written_whatever_is_wrong() {
    let site = Site::new();
    site.gateway().set_condition(Condition::Refusing);
    let output = site.run(&["check", "--bundle"]).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    let report = text(&output.stdout);
    assert!(report.contains("did not respond") && report.contains("WRONG  gateway"), "{report}");
    std::fs::write(site.path("config.toml"), "password = \"hunter2\"").unwrap();
    let output = site.run(&["check", "--bundle"]).await;
    assert!(output.status.success());
    let report = text(&output.stdout);
    assert!(report.contains("## configuration") && !report.contains("hunter2"), "{report}");
}
