//! The consumer of a request, and which consumers it may see.

use super::context::Context;
use crate::app::consumers::listed::Listed;
use crate::rules::access::consumers::Identity;

/// The consumer of a request, as an extension.
#[derive(Clone, Debug)]
pub(super) struct Consumer(pub(super) Identity);

/// Returns the consumers that `identity` may see.
pub(super) fn visible_consumers(context: &Context, identity: &Identity) -> Vec<Listed> {
    let mut list: Vec<Listed> = context.registry.list();
    if let Identity::Program { address, program } = identity
        && !identity.sees_all()
    {
        list.retain(|listed| listed.address == address.to_string() && listed.program == *program);
    }
    list
}
