//! The Enphase cloud: log in, fetch a token.
