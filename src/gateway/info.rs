//! What a gateway says of itself.
