//! The program: arguments and environment in, exit code out. Everything else is in the library.

use std::process::ExitCode;

use dlmalloc::GlobalDlmalloc;
use enphased::app::cli;
use enphased::app::config::environment::Environment;

#[global_allocator]
static ALLOCATOR: GlobalDlmalloc = GlobalDlmalloc;

fn main() -> ExitCode {
    #[expect(clippy::disallowed_methods, reason = "the one lawful place")]
    let environment = Environment::collect(|name| std::env::var(name).ok());
    ExitCode::from(cli::main(std::env::args_os(), environment))
}
