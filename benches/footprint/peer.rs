//! A polling script on pyenphase. It is installed from `PyPI` into a directory that goes away again.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use tempfile::TempDir;

/// Takes a token, polls every second, and says so with a line.
const SCRIPT: &str = r#"
import asyncio, sys
from pyenphase import Envoy

async def main(host, token):
    envoy = Envoy(host)
    await envoy.setup()
    await envoy.authenticate(token=token)
    while True:
        await envoy.update()
        print("polled", flush=True)
        await asyncio.sleep(1)

asyncio.run(main(sys.argv[1], sys.stdin.readline().strip()))
"#;

/// A Python with pyenphase in it.
pub(crate) struct Peer {
    place: TempDir,
}

impl Peer {
    /// Installs it, or says why it cannot be.
    pub(crate) fn install() -> Result<Self, String> {
        let peer = Self { place: tempfile::tempdir().unwrap() };
        run(Command::new("python3").args(["-m", "venv"]).arg(peer.place.path()), "python3 -m venv")?;
        run(
            Command::new(peer.python()).args(["-m", "pip", "install", "-q", "pyenphase"]),
            "pip install pyenphase",
        )?;
        Ok(peer)
    }

    fn python(&self) -> PathBuf {
        self.place.path().join("bin/python")
    }

    /// Starts the script for the gateway at the URL `address`; back when it has polled once.
    pub(crate) fn start(&self, address: &str, token: &str) -> Script {
        let (_, host) = address.split_once("://").unwrap();
        let mut command = Command::new(self.python());
        command.args(["-c", SCRIPT, host]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(token.as_bytes()).unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        assert!(out.read_line(&mut String::new()).unwrap() > 0, "pyenphase ended");
        Script { child, _out: out }
    }
}

fn run(command: &mut Command, what: &str) -> Result<(), String> {
    match command.stdout(Stdio::null()).stderr(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{what} ended with {status}")),
        Err(error) => Err(format!("{what} did not start: {error}")),
    }
}

/// The running script; killed when it is dropped. What it writes fits into the pipe.
pub(crate) struct Script {
    child: Child,
    _out: BufReader<ChildStdout>,
}

impl Script {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}
