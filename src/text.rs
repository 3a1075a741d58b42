//! A reading for a person.
