//! Tests special files: a FIFO, a device or a huge file in place of a configuration, a password or a time zone.

use std::fs;
use std::time::Duration;

use enphased::simulator::Role;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use tokio::time::timeout;

use super::site::{HANG, Site, text};

#[tokio::test]
async fn a_configuration_that_is_no_file_is_refused_at_once() {
    let site = Site::new();
    let config = site.path("config.toml");
    for (kind, words) in [("fifo", "it is a FIFO"), ("zero", "it is a device"), ("huge", "it is larger than")]
    {
        fs::remove_file(&config).unwrap();
        match kind {
            "fifo" => mknodat(CWD, &config, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap(),
            "zero" => std::os::unix::fs::symlink("/dev/zero", &config).unwrap(),
            _ => fs::File::create(&config).unwrap().set_len(1 << 40).unwrap(),
        }
        for arguments in [&["run"][..], &["config", "validate"], &["check"], &["check", "--bundle"]] {
            let output = site.run(arguments).await;
            let said = text(&output.stdout) + &text(&output.stderr);
            // The report is still written.
            let code = if arguments.contains(&"--bundle") { 0 } else { 78 };
            assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
            assert!(code == 0 || said.contains(words), "{arguments:?}: {said}");
        }
    }
}

#[tokio::test]
async fn a_password_that_is_no_file_costs_the_login_and_nothing_else() {
    let site = Site::new();
    fs::remove_file(site.path("password")).unwrap();
    mknodat(CWD, site.path("password"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    for arguments in [&["token", "refresh"][..], &["read"], &["check"], &["run", "--once"]] {
        let output = site.run(arguments).await;
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(said.contains("it is a FIFO, not a regular file"), "{arguments:?}: {said}");
    }
    assert_eq!(site.logins(), (0, 0, 0));
    fs::remove_file(site.path("password")).unwrap();
    mknodat(CWD, site.path("mqtt"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    site.configure(&format!("[mqtt]\npassword_file = {:?}\n", site.path("mqtt")));
    let output = site.run(&["config", "validate"]).await;
    assert_eq!(output.status.code(), Some(78));
    assert!(text(&output.stderr).contains("it is a FIFO"), "{}", text(&output.stderr));
}

#[tokio::test]
async fn a_time_zone_that_is_a_device_is_utc_and_said() {
    let site = Site::new();
    mknodat(CWD, site.path("fifo"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let fifo = site.path("fifo").display().to_string();
    for zone in [":/dev/zero", "/dev/zero", "../../../../dev/zero", &fifo, "zoneinfo/../../../../dev/zero"] {
        let mut command = site.command(&["config", "validate"]);
        command.env("TZ", zone).env("TZDIR", site.path(""));
        let output = timeout(HANG, command.output()).await.expect("it hangs").unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        let said = text(&output.stdout);
        assert!(said.contains("note: TZ in the environment is not a time zone"), "{zone}: {said}");
    }
}

#[tokio::test]
async fn authorities_that_are_no_file_cost_the_login_and_the_broker_and_nothing_else() {
    let site = Site::new();
    let fifo = site.path("fifo").display().to_string();
    mknodat(CWD, site.path("fifo"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    fs::File::create(site.path("huge")).unwrap().set_len(1 << 40).unwrap();
    let huge = site.path("huge").display().to_string();
    let stored = site.import(&site.token(Role::Owner, Duration::from_secs(365 * 86_400))).await;
    assert!(stored.status.success(), "{}", text(&stored.stderr));
    site.configure("[mqtt]\nurl = \"mqtts://127.0.0.1:9\"\n");
    let config = fs::read_to_string(site.path("config.toml")).unwrap();
    let config = config.replace("enlighten_url = \"http://", "enlighten_url = \"https://");
    fs::write(site.path("config.toml"), config).unwrap();
    for (list, words) in [
        (fifo.as_str(), "it is a FIFO, not a regular file"),
        ("/dev/zero", "it is a device, not a regular file"),
        (site.path("").to_str().unwrap(), "it is a directory, not a regular file"),
        (huge.as_str(), "it is larger than"),
    ] {
        for (arguments, code) in
            [(&["token", "refresh", "--force"][..], 75), (&["check"], 75), (&["read"], 0)]
        {
            let mut command = site.command(arguments);
            command.env("SSL_CERT_FILE", list);
            let output = timeout(HANG, command.output()).await.expect("it hangs").unwrap();
            let said = text(&output.stdout) + &text(&output.stderr);
            assert_eq!(output.status.code(), Some(code), "{list} {arguments:?}: {said}");
            assert!(arguments == ["read"] || said.contains(words), "{list} {arguments:?}: {said}");
        }
    }
    assert_eq!(site.logins(), (0, 0, 0));
}
