//! A program that reads every page of a large gateway through the proxy.

use std::thread::sleep;
use std::time::Duration;

use enphased::rules::proxy::pages;
use enphased::simulator::GatewayOptions;

use super::client::{Kept, get, head};
use super::load::{self, Load};
use super::process::memory;
use super::served::Served;
use super::{large, rig};

/// How long the program polls before and after, so that all buffers have their size.
const SETTLING: Duration = Duration::from_secs(8);

/// What a proxy costs.
pub(crate) struct Cost {
    /// What all pages add to the memory of the process, in kB.
    pub(crate) memory: f64,
    /// The length of the pages together, in kB.
    pub(crate) pages: f64,
    /// A small page from memory, as often as it is answered.
    pub(crate) small: Load,
    /// The list of inverters.
    pub(crate) inverters: Load,
}

/// Measures the program before and after a program has read every page, and then requests for two of them.
pub(crate) fn cost() -> Cost {
    let folder = tempfile::tempdir().unwrap();
    let rig = rig::Rig::with(vec![GatewayOptions::new(large::pages(folder.path()))]);
    let served = Served::of(rig, true, "");
    let proxy = served.proxy.unwrap();
    sleep(SETTLING);
    let before = memory(served.id(), "RssAnon:");
    let mut length = 0;
    for _ in 0..3 {
        let bodies = pages::all().filter_map(|page| get(proxy, page.path));
        let good = bodies.filter(|reply| reply.starts_with("HTTP/1.1 200"));
        length = good.map(|reply| reply.len()).sum::<usize>();
    }
    sleep(SETTLING);
    let memory = (memory(served.id(), "RssAnon:") - before) * 1e3;
    let path = "/ivp/meters/readings";
    assert!(Kept::open(proxy).ask(&head(path, "bench", "keep-alive")), "no page is served");
    let small = load::of(&served, proxy, path);
    let inverters = load::of(&served, proxy, "/api/v1/production/inverters");
    Cost { memory, pages: length as f64 / 1e3, small, inverters }
}
