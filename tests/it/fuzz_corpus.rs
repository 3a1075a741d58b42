//! Reads the inputs that fuzzing found again: none may panic or hang.

use std::fs;
use std::path::Path;

#[path = "../fuzz/inputs.rs"]
mod inputs;

fn replay(target: &str, read: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/fuzz").join(target);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut count = 0;
    for file in files {
        read(&fs::read(file.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count > 0, "{} is empty", folder.display());
}

#[test]
fn every_kept_input_is_survived() {
    replay("info", inputs::info);
    replay("pages", inputs::pages);
    replay("gateway", inputs::gateway);
    replay("cloud", inputs::cloud);
    replay("configuration", inputs::configuration);
    replay("state", inputs::state);
}
