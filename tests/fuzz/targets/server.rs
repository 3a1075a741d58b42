#![no_main]

#[path = "../requests/mod.rs"]
mod requests;

thread_local! {
    static SERVER: requests::server::Server = requests::server::Server::start();
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| SERVER.with(|server| drop(server.receive(data))));
