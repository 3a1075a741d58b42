//! The reason that a command failed, and its exit code (sysexits).

use std::io;

use rustix::io::Errno;

use crate::app::config;
use crate::app::config::secret::UnreadableSecret;
use crate::app::consumers::tokens::NoRandomness;
use crate::app::daemon;
use crate::app::listeners;
use crate::app::poller::trouble::Trouble;
use crate::app::token_provider;
use crate::base::printable::one_line;
use crate::io::files;
use crate::io::gateway;
use crate::io::gateway::OpenError;
use crate::io::http;
use crate::io::state_dir;
use crate::rules::logins::decision::{Decision, Stopped};

/// The maximum number of characters in one line of a message.
const LONGEST: usize = 1000;

/// An exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The reader of the output closed it: success, because it needs no more output.
    ReaderGone = 0,
    /// The daemon is not ready; container runtimes know only this code.
    Unhealthy = 1,
    /// The command line is wrong.
    Usage = 64,
    /// The input is invalid, e.g. not a token.
    Data = 65,
    /// Something that the command needs is missing.
    Unavailable = 69,
    /// The system has run out of file descriptors, memory or threads, perhaps temporarily.
    System = 71,
    /// A file cannot be written.
    CannotCreate = 73,
    /// Reading or writing failed.
    InputOutput = 74,
    /// A temporary failure: a later attempt may succeed.
    TryLater = 75,
    /// The cloud or the gateway refused the credentials.
    Refused = 77,
    /// The configuration is invalid, and systemd does not restart the service.
    Configuration = 78,
}

impl Code {
    /// Returns the code for a decision that leaves a gateway without a token.
    pub(super) const fn of_decision(decision: &Decision) -> Self {
        match decision {
            Decision::Stop(Stopped::NoCredentials) => Self::Configuration,
            Decision::Stop(_) => Self::Refused,
            Decision::Rest | Decision::Act { .. } | Decision::Wait { .. } => Self::TryLater,
        }
    }

    /// Returns the code for an error of the operating system.
    fn of(error: &io::Error) -> Self {
        match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::AGAIN | Errno::NOBUFS) => Self::System,
            _ => Self::InputOutput,
        }
    }

    /// Returns the code for an error with the configuration file or a file that it names.
    fn of_file(error: &files::Error) -> Self {
        match error {
            files::Error::System(error) if !files::needs_a_person(error) => Self::of(error),
            _ => Self::Configuration,
        }
    }
}

/// The reason that a command failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The exit code.
    pub code: Code,
    /// The message for people; empty if the command has already reported everything.
    pub message: String,
    /// More lines, one for each problem.
    pub details: Vec<String>,
}

impl Failure {
    /// Creates a failure without details.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), details: Vec::new() }
    }

    /// Returns the message and the details as printable lines.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        let details = self.details.iter().map(|detail| format!("- {}", one_line(detail, LONGEST)));
        std::iter::once(one_line(&self.message, LONGEST).into_owned()).chain(details)
    }
}

impl From<config::Error> for Failure {
    fn from(error: config::Error) -> Self {
        let code = match &error {
            config::Error::Invalid { .. } => Code::Configuration,
            config::Error::Unreadable { source, .. }
            | config::Error::Secret(UnreadableSecret { source, .. }) => Code::of_file(source),
        };
        let details = error.problems().iter().map(ToString::to_string).collect();
        Self { details, ..Self::new(code, error.to_string()) }
    }
}

impl From<state_dir::Error> for Failure {
    fn from(error: state_dir::Error) -> Self {
        Self::new(state_code(&error), error.to_string())
    }
}

const fn state_code(error: &state_dir::Error) -> Code {
    match error {
        state_dir::Error::Unwritable { .. } => Code::CannotCreate,
        state_dir::Error::Unreadable { .. } | state_dir::Error::Stalled { .. } => Code::InputOutput,
        // Only the operator can change the owner of the directory.
        state_dir::Error::Foreign { .. } => Code::Configuration,
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::new(Code::ReaderGone, ""),
            _ => Self::new(Code::of(&error), error.to_string()),
        }
    }
}

impl From<token_provider::Error> for Failure {
    fn from(error: token_provider::Error) -> Self {
        let code = match &error {
            token_provider::Error::State(error) => state_code(error),
            token_provider::Error::Password(error) => Code::of_file(&error.source),
            token_provider::Error::Busy => Code::TryLater,
        };
        Self::new(code, error.to_string())
    }
}

impl From<NoRandomness> for Failure {
    fn from(error: NoRandomness) -> Self {
        Self::new(Code::TryLater, error.to_string())
    }
}

impl From<daemon::Error> for Failure {
    fn from(error: daemon::Error) -> Self {
        let code = match &error {
            daemon::Error::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                return Self::new(Code::ReaderGone, "");
            }
            daemon::Error::Output(_) => Code::InputOutput,
            daemon::Error::State(error) => state_code(error),
            daemon::Error::Server(listeners::Error::Listen(http::Error::Forbidden { .. })) => {
                Code::Configuration
            }
            daemon::Error::Server(_) => Code::Unavailable,
            daemon::Error::Running(_) => Code::TryLater,
        };
        Self::new(code, error.to_string())
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        let code = match &trouble {
            Trouble::Gateway(
                gateway::Error::TokenRefused
                | gateway::Error::KeyChanged { .. }
                | gateway::Error::KeyLost { .. }
                | gateway::Error::KeyMissing { .. },
            ) => Code::Refused,
            Trouble::NoToken(decision) => Code::of_decision(decision),
            Trouble::Gateway(gateway::Error::NotEncrypted { .. })
            | Trouble::Open(
                OpenError::OtherGateway { .. } | OpenError::SeveralFound(_) | OpenError::SeveralKeys { .. },
            )
            | Trouble::ReadAlready { .. } => Code::Configuration,
            Trouble::State(error) => state_code(error),
            _ => Code::TryLater,
        };
        Self::new(code, trouble.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::io::cloud::Kind;
    use crate::rules::logins::attempt::{Reason, Step};
    use crate::rules::logins::decision::Waiting;

    fn unreadable(errno: Errno) -> Code {
        let source = files::Error::System(io::Error::from(errno));
        Failure::from(config::Error::Unreadable { path: PathBuf::from("/etc/x"), source }).code
    }

    #[test]
    fn only_errors_that_a_person_has_to_fix_prevent_a_restart_by_systemd() {
        for errno in
            [Errno::NOENT, Errno::ACCESS, Errno::ISDIR, Errno::NOTDIR, Errno::LOOP, Errno::NAMETOOLONG]
        {
            assert_eq!(unreadable(errno), Code::Configuration, "{errno}");
        }
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::AGAIN] {
            assert_eq!(unreadable(errno), Code::System, "{errno}");
        }
        for errno in [Errno::IO, Errno::STALE, Errno::TIMEDOUT, Errno::NXIO, Errno::NODEV] {
            assert_eq!(unreadable(errno), Code::InputOutput, "{errno}");
        }
        let odd =
            config::Error::Unreadable { path: PathBuf::new(), source: files::Error::NotAFile("a FIFO") };
        assert_eq!(Failure::from(odd).code, Code::Configuration);
    }

    #[test]
    fn only_a_refusal_counts_as_refused_and_a_login_that_waits_as_temporary() {
        let code = |decision: Decision| Failure::from(Trouble::NoToken(decision)).code;
        let (reason, why) = (Reason::NoToken, Waiting::HoldOff(Kind::Transient));
        assert_eq!(code(Decision::Wait { reason, left: None, why }), Code::TryLater);
        assert_eq!(code(Decision::Act { step: Step::Login, reason }), Code::TryLater);
        assert_eq!(code(Decision::Rest), Code::TryLater);
        for stopped in
            [Stopped::WrongCredentials, Stopped::SecondFactor, Stopped::ShortToken, Stopped::Newcomer]
        {
            assert_eq!(code(Decision::Stop(stopped)), Code::Refused, "{stopped:?}");
        }
        assert_eq!(code(Decision::Stop(Stopped::NoCredentials)), Code::Configuration);
    }

    #[test]
    fn a_closed_output_is_success_and_any_other_error_is_a_failure() {
        let closed = Failure::from(io::Error::from(Errno::PIPE));
        assert_eq!((closed.code, closed.message.as_str()), (Code::ReaderGone, ""));
        let full = Failure::from(io::Error::other("Broken pipe"));
        assert_eq!(full.code, Code::InputOutput, "the message does not decide");
    }

    #[test]
    fn each_line_of_a_message_is_one_line() {
        let mut failure = Failure::new(Code::Data, "it says \"a\nb\"");
        failure.details.push("unknown key `\x1b[31m`".to_owned());
        let lines: Vec<String> = failure.lines().collect();
        assert_eq!(lines, ["it says \"a\\nb\"", "- unknown key `\\u{1b}[31m`"]);
    }
}
