//! Tests a panic whose message is not read. The program has no panic to provoke, so this test program starts itself and
//! panics.

use std::process::{Command, Stdio};

use enphased::app::cli::logging;
use enphased::app::config::environment::Environment;
use tokio::time::timeout;

use super::site::{HANG, text};
use super::streams::full_pipe;

const CHILD: &str = "ENPHASED_TEST_PANICS";
const NAME: &str = "binary::panics::a_panic_ends_the_program_though_standard_error_is_full";

fn child() -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", NAME, "--nocapture"]).env(CHILD, "1").stdin(Stdio::null()).stdout(Stdio::null());
    command
}

#[tokio::test]
async fn a_panic_ends_the_program_though_standard_error_is_full() {
    if std::env::var_os(CHILD).is_some() {
        let _logs = logging::start(&Environment::default(), false, true);
        panic!("first line\nFORGED \x1b[31m");
    }
    let output = tokio::process::Command::from(child()).stderr(Stdio::piped()).output().await.unwrap();
    let words = text(&output.stderr);
    assert_eq!(output.status.code(), Some(101), "{words}");
    let line = words.lines().find(|line| line.contains("first line\\nFORGED \\u{1b}[31m"));
    assert!(line.is_some_and(|line| line.contains(" error panicked at ")), "{words}");

    let (reader, writer) = full_pipe();
    let mut command = tokio::process::Command::from(child());
    command.stderr(writer).kill_on_drop(true);
    let status = timeout(HANG, command.status()).await.expect("it waits for a reader").unwrap();
    assert_eq!(status.code(), Some(101));
    drop(reader);
}
