#![no_main]

#[path = "../requests/mod.rs"]
mod requests;

thread_local! {
    static PROXY: requests::proxy::Proxy = requests::proxy::Proxy::start();
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| PROXY.with(|proxy| drop(proxy.receive(data))));
