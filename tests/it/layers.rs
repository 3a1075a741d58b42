//! The house plan: `lib.rs` lists the modules as a stack, and each uses only those listed before it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The names that follow `crate::` in `text`, whether alone or in braces.
fn uses(text: &str) -> Vec<String> {
    let names = |rest: &str| -> Vec<String> {
        let word = |part: &str| -> String {
            part.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
        };
        match rest.strip_prefix('{') {
            Some(list) => {
                // Only the outermost level of the braces names modules.
                let (mut depth, mut start, mut found) = (0, 0, Vec::new());
                for (at, c) in list.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' | ',' if depth == 0 => {
                            found.push(word(&list[start..at]));
                            start = at + 1;
                            if c == '}' {
                                break;
                            }
                        }
                        '}' => depth -= 1,
                        _ => {}
                    }
                }
                found
            }
            None => vec![word(rest)],
        }
    };
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
        .split("crate::")
        .skip(1)
        .flat_map(names)
        .filter(|name| !name.is_empty())
        .collect()
}

#[test]
fn each_module_uses_only_those_listed_before_it() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let map = fs::read_to_string(src.join("lib.rs")).unwrap();
    let order: BTreeMap<&str, usize> = map
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .enumerate()
        .map(|(place, name)| (name, place))
        .collect();
    assert!(order.len() > 20, "lib.rs lists the stack");

    let (mut files, mut upward) = (Vec::new(), Vec::new());
    sources(&src, &mut files);
    for file in files {
        let inside = file.strip_prefix(&src).unwrap();
        let module = inside.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs");
        let Some(&own) = order.get(module) else { continue };
        for used in uses(&fs::read_to_string(&file).unwrap()) {
            match order.get(used.as_str()) {
                Some(&place) if place <= own => {}
                Some(_) => upward.push(format!("{} uses {used}", inside.display())),
                None => upward.push(format!("{} uses {used}, which lib.rs does not list", inside.display())),
            }
            // The simulator must not share a misreading with the program it answers.
            let beside = used == "simulator" && !["simulator", "commands"].contains(&module);
            let borrowed = module == "simulator" && !["simulator", "clock", "units"].contains(&used.as_str());
            if beside || borrowed {
                upward.push(format!(
                    "{} uses {used}: the simulator stands beside the program",
                    inside.display()
                ));
            }
        }
    }
    assert!(upward.is_empty(), "against the house plan:\n{}", upward.join("\n"));
}

#[test]
fn a_use_is_found_alone_and_in_braces() {
    assert_eq!(
        uses("use crate::{clock::{Clock, Moment}, units};\nlet x = crate::token::decode();"),
        ["clock", "units", "token"]
    );
    assert_eq!(uses("/// see crate::daemon"), Vec::<String>::new());
}
