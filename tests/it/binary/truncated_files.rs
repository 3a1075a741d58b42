//! Tests a token file and a record of logins that are cut off, as by a failing SD card. `login_promise/truncated_files.rs`
//! tries every byte within the library; here the built program is tested at some of them.

use std::fs;
use std::path::PathBuf;

use super::site::{Site, text};

/// The number of positions at which each file is cut.
const CUTS: usize = 20;

struct Files {
    site: Site,
    token: PathBuf,
    copy: PathBuf,
    record: PathBuf,
    /// Their contents, in the same order.
    whole: [Vec<u8>; 3],
}

impl Files {
    /// Creates the files with one login.
    async fn new() -> Self {
        let site = Site::new();
        assert!(site.run(&["run", "--once"]).await.status.success());
        let (serial, state) = (site.gateway().serial(), site.path("state"));
        let token = state.join(format!("token-{serial}.json"));
        let copy = state.join(format!("token-{serial}.copy.json"));
        let record = state.join("logins.json");
        let whole = [&token, &copy, &record].map(|path| fs::read(path).unwrap());
        Self { site, token, copy, record, whole }
    }

    fn restore(&self) {
        for (path, whole) in [&self.token, &self.copy, &self.record].iter().zip(&self.whole) {
            fs::write(path, whole).unwrap();
        }
        for name in fs::read_dir(self.site.path("state")).unwrap() {
            let path = name.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "damaged") {
                fs::remove_file(path).unwrap();
            }
        }
    }

    /// Runs `run --once`; returns its exit code and log.
    async fn run(&self) -> (i32, String) {
        let output = self.site.run(&["run", "--once"]).await;
        assert_eq!(self.site.logins(), (1, 1, 1), "a cut costs a login");
        (output.status.code().unwrap(), text(&output.stderr))
    }
}

/// Returns some positions in a file, without its end, which is a line break.
fn places(whole: &[u8]) -> impl Iterator<Item = usize> {
    (0..whole.len() - 2).step_by(whole.len().div_ceil(CUTS))
}

#[tokio::test]
async fn a_token_cut_off_anywhere_is_taken_from_its_copy() {
    let files = Files::new().await;
    for cut in places(&files.whole[0]) {
        files.restore();
        fs::write(&files.token, &files.whole[0][..cut]).unwrap();
        let (code, log) = files.run().await;
        assert_eq!(code, 0, "cut at {cut}: {log}");
        assert!(log.contains("the token file was damaged; using its copy"), "cut at {cut}: {log}");
        assert_eq!(fs::read(&files.token).unwrap(), files.whole[0], "it is whole again");
    }
}

#[tokio::test]
async fn a_token_and_its_copy_cut_off_wait_for_the_day_to_pass() {
    let files = Files::new().await;
    for cut in places(&files.whole[0]) {
        files.restore();
        fs::write(&files.token, &files.whole[0][..cut]).unwrap();
        fs::write(&files.copy, &files.whole[0][..cut]).unwrap();
        let (code, log) = files.run().await;
        assert_eq!(code, 75, "cut at {cut}: {log}");
        assert!(log.contains("was damaged and has no copy"), "cut at {cut}: {log}");
        assert!(log.contains("the last login was less than a day ago"), "cut at {cut}: {log}");
    }
}

#[tokio::test]
async fn a_record_cut_off_anywhere_counts_as_a_login() {
    let files = Files::new().await;
    for cut in places(&files.whole[2]) {
        files.restore();
        fs::write(&files.record, &files.whole[2][..cut]).unwrap();
        fs::remove_file(&files.token).unwrap();
        fs::remove_file(&files.copy).unwrap();
        let (code, log) = files.run().await;
        assert_eq!(code, 75, "cut at {cut}: {log}");
        assert!(
            log.contains("the record of logins was damaged and has been set aside"),
            "cut at {cut}: {log}"
        );
        assert!(fs::exists(files.site.path("state/logins.json.damaged")).unwrap());
        let (_, again) = files.run().await;
        assert!(again.contains("may have been a login"), "cut at {cut}: {again}");
    }
}
