//! The login promise kept by the program itself, against a cloud that counts.

mod cuts;
mod gateway;
mod house;
mod restarts;
mod riddles;
mod year;
