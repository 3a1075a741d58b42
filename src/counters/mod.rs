//! Lifetime totals that never go backward, and the days made of them.
