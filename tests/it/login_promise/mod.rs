//! Tests the login promise with the program itself, against a cloud that counts its requests.

mod gateway;
mod house;
mod restarts;
mod truncated_files;
mod unknown_responses;
mod year;
