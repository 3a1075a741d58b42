#![no_main]

#[path = "../requests.rs"]
mod requests;

thread_local! {
    static SERVER: requests::Server = requests::Server::start();
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| SERVER.with(|server| server.receive(data)));
