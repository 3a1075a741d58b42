//! Sends what is on the board to the broker and to stdout.
