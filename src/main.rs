//! The binary: passes the arguments and the environment to the library, and returns the exit code.

use std::process::ExitCode;

use dlmalloc::GlobalDlmalloc;
use enphased::app::cli;
use enphased::app::config::environment::Environment;

#[global_allocator]
static ALLOCATOR: GlobalDlmalloc = GlobalDlmalloc;

fn main() -> ExitCode {
    #[expect(clippy::disallowed_methods, reason = "the only place that reads the environment")]
    let environment = Environment::collect(
        |name| std::env::var(name).ok(),
        std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()),
    );
    ExitCode::from(cli::main(std::env::args_os(), environment))
}
