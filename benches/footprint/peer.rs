//! The same figures of a polling script on pyenphase, the library behind Home Assistant's integration, against the
//! same simulated gateway. It is installed from `PyPI` into a directory that goes away again.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use super::process::{memory, processor_time};
use super::rig::Rig;
use super::{number, plain};

/// Logs in with a token, polls every second, and says so with a line.
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

pub(crate) fn measure() {
    let rig = Rig::new(1);
    let python = match install(rig.path()) {
        Ok(python) => python,
        Err(why) => return println!("pyenphase: skipped: {why}"),
    };
    let polls: u32 = number("ENPHASED_POLLS", 120).min(30);
    let gateway = rig.simulation.gateways.first().unwrap();
    let host = gateway.address().split_once("://").unwrap().1.to_owned();
    let mut child = Command::new(&python)
        .args(["-c", SCRIPT, &host])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), rig.token().as_bytes()).unwrap();
    let mut polled = BufReader::new(child.stdout.take().unwrap()).lines();
    for _ in 0..5 {
        polled.next().expect("pyenphase ended").unwrap();
    }
    let (spent, asked) = (processor_time(child.id()), gateway.counts().requests);
    for _ in 0..polls {
        polled.next().expect("pyenphase ended").unwrap();
    }
    let spent = processor_time(child.id()).saturating_sub(spent);
    println!("\npyenphase, polling the same gateway every second without a broker");
    plain("  processor time of a poll", spent.as_secs_f64() * 1e3 / f64::from(polls), "ms");
    plain("  requests of a poll", (gateway.counts().requests - asked) as f64 / f64::from(polls), "");
    plain("  resident memory", memory(child.id(), "VmRSS:"), "MB");
    child.kill().unwrap();
    child.wait().unwrap();
}

/// A Python with pyenphase in it.
fn install(dir: &Path) -> Result<std::path::PathBuf, String> {
    let place = dir.join("python");
    let python = place.join("bin/python");
    let run = |command: &mut Command, what: &str| {
        let done = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        match done {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("{what} ended with {status}")),
            Err(error) => Err(format!("{what} did not start: {error}")),
        }
    };
    run(Command::new("python3").args(["-m", "venv"]).arg(&place), "python3 -m venv")?;
    run(Command::new(&python).args(["-m", "pip", "install", "-q", "pyenphase"]), "pip install pyenphase")?;
    Ok(python)
}
