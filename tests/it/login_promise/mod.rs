//! The login promise kept by the program itself, against a cloud that counts.

mod gateway;
mod house;
mod restarts;
mod truncated_files;
mod unknown_responses;
mod year;
