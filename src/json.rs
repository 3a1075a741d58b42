//! A reading as one line of JSON.
