//! What the gateway's answers look like on the wire.
