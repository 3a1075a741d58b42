//! Keeps a gateway supplied with a token.
