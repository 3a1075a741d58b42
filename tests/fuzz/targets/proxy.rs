#![no_main]

#[path = "../proxy_requests.rs"]
mod proxy_requests;

thread_local! {
    static PROXY: proxy_requests::Proxy = proxy_requests::Proxy::start();
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| PROXY.with(|proxy| drop(proxy.receive(data))));
