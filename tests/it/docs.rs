//! Compares the documentation with the program: links, anchors, paths, messages, configuration keys.
//!
//! Messages are compared as follows. In docs/messages.md, each row of a table whose first column is called "message" quotes
//! messages in its first cell, between backticks, with `…` in place of variable parts. In the program a message is a string
//! literal, with `{…}` in place of variable parts. A quotation may be a part of a message. When a message changes in the
//! program, it changes in that file too.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns the files under `folder` with one of these extensions, relative to the repository.
fn files(folder: &str, extensions: &[&str]) -> Vec<PathBuf> {
    let (mut found, mut open) = (Vec::new(), vec![root().join(folder)]);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
            if path.is_dir() {
                open.push(path);
            } else if extensions.contains(&extension) {
                found.push(path.strip_prefix(root()).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

fn pages() -> Vec<PathBuf> {
    let mut pages = vec![PathBuf::from("README.md")];
    pages.extend(files("docs", &["md"]));
    pages.extend(files(".github", &["md"]));
    assert!(pages.len() > 10, "{pages:?}");
    pages
}

/// Returns the lines of a page that are not part of a code block.
fn prose(page: &str) -> Vec<&str> {
    let mut fenced = false;
    let mut lines = Vec::new();
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced && !line.starts_with("    ") {
            lines.push(line);
        }
    }
    lines
}

/// Returns the texts between backticks in a line.
fn code(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// Returns the anchors of a page, as GitHub derives them from its headings.
fn anchors(page: &str) -> Vec<String> {
    let mut anchors: Vec<String> = Vec::new();
    for heading in prose(page).into_iter().filter(|line| line.starts_with('#')) {
        let slug: String = heading
            .trim_start_matches('#')
            .trim()
            .to_lowercase()
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect();
        let same = anchors.iter().filter(|other| **other == slug).count();
        anchors.push(if same == 0 { slug } else { format!("{slug}-{same}") });
    }
    anchors
}

/// Returns the targets of the links and pictures in a line, without code.
fn targets(line: &str) -> Vec<String> {
    let plain: String = line.split('`').step_by(2).collect();
    let ends = |rest: &str| Some(rest.split_once(')')?.0.to_owned());
    plain.split("](").skip(1).filter_map(ends).collect()
}

/// Returns `path` without `.` and `..`.
fn resolved(path: &Path) -> PathBuf {
    let mut resolved = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => assert!(resolved.pop(), "{} leaves the repository", path.display()),
            Component::CurDir => {}
            other => resolved.push(other),
        }
    }
    resolved
}

#[test]
fn every_relative_link_and_anchor_leads_somewhere() {
    let (mut dead, mut checked) = (Vec::new(), 0);
    for page in pages() {
        let content = text(&page);
        for line in prose(&content) {
            assert!(
                line.matches('`').count().is_multiple_of(2),
                "{}: code over two lines: {line}",
                page.display()
            );
        }
        for target in prose(&content).into_iter().flat_map(targets) {
            if target.contains("://") {
                continue;
            }
            checked += 1;
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let folder = page.parent().unwrap();
            let path = if file.is_empty() { page.clone() } else { resolved(&folder.join(file)) };
            // The package contains README.md and docs/. Links from there to other files are absolute.
            let packaged = |path: &Path| path == Path::new("README.md") || path.starts_with("docs");
            let there = root().join(&path).exists() && (packaged(&path) || !packaged(&page));
            if !there || !(anchor.is_empty() || anchors(&text(&path)).iter().any(|known| known == anchor)) {
                dead.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(dead.is_empty(), "dead links:\n{}", dead.join("\n"));
    assert!(checked > 50, "{checked} links were checked");
}

#[test]
fn every_address_in_this_repository_exists() {
    const HERE: &str = "https://github.com/enphased/enphased/blob/main/";
    let mut dead = Vec::new();
    for page in files(".github", &["md", "yml"]).into_iter().chain(pages()) {
        for rest in text(&page).split(HERE).skip(1) {
            let path: String =
                rest.chars().take_while(|c| !c.is_whitespace() && !")>\"".contains(*c)).collect();
            if !root().join(&path).exists() {
                dead.push(format!("{}: {path}", page.display()));
            }
        }
    }
    assert!(dead.is_empty(), "dead addresses:\n{}", dead.join("\n"));
}

#[test]
fn every_path_that_is_named_exists() {
    const FOLDERS: &[&str] =
        &["src/", "tests/", "fixtures/", "systemd/", "benches/", "docs/", ".ci/", ".github/"];
    let (mut gone, mut checked) = (Vec::new(), 0);
    for page in pages() {
        let content = text(&page);
        for name in prose(&content).into_iter().flat_map(code) {
            let Some(path) =
                name.split([' ', ',']).next().filter(|path| FOLDERS.iter().any(|f| path.starts_with(f)))
            else {
                continue;
            };
            checked += 1;
            if !root().join(path).exists() {
                gone.push(format!("{}: {path}", page.display()));
            }
        }
    }
    assert!(gone.is_empty(), "named, and not there:\n{}", gone.join("\n"));
    assert!(checked > 10, "{checked} paths were checked");
}

#[test]
fn no_page_holds_a_conflict_of_versions() {
    for page in pages() {
        let text = text(&page);
        let mark = text.lines().find(|line| line.starts_with("<<<<<<< ") || line.starts_with(">>>>>>> "));
        assert_eq!(mark, None, "{}", page.display());
    }
}

#[test]
fn the_readme_has_at_most_8_kilobytes() {
    let length = text("README.md").len();
    assert!(length <= 8192, "{length} bytes");
}

/// Returns the string literals of Rust source, with continued lines joined.
fn literals(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = source;
    while let Some(c) = rest.chars().next() {
        let raw = rest.strip_prefix("r#\"").map(|raw| (raw, "\"#"));
        let raw = raw.or_else(|| rest.strip_prefix("r\"").map(|raw| (raw, "\"")));
        rest = if rest.starts_with("//") {
            rest.split_once('\n').map_or("", |(_, after)| after)
        } else if let Some((raw, end)) = raw {
            let (literal, after) = raw.split_once(end).unwrap();
            found.push(literal.to_owned());
            after
        } else if c == '"' {
            let (literal, after) = quoted(&rest[1..]);
            found.push(literal);
            after
        } else if rest.starts_with("'\"'") || rest.starts_with("'\\\"'") {
            // A quotation mark as a character literal does not begin a string.
            &rest[rest[1..].find('\'').unwrap() + 2..]
        } else {
            &rest[c.len_utf8()..]
        };
    }
    found
}

/// Splits `rest`, which begins after an opening quotation mark, into the literal and the text after its closing mark.
fn quoted(rest: &str) -> (String, &str) {
    let (mut literal, mut characters) = (String::new(), rest.char_indices().peekable());
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return (literal, &rest[at + 1..]),
            '\\' => match characters.next().unwrap().1 {
                '\n' => while characters.next_if(|(_, c)| c.is_whitespace()).is_some() {},
                'n' => literal.push('\n'),
                other => literal.push(other),
            },
            other => literal.push(other),
        }
    }
    panic!("a literal without an end: {literal}");
}

/// Returns a message with `…` in place of each `{…}`.
fn with_gaps(literal: &str) -> String {
    let mut message = String::new();
    let mut rest = literal;
    while let Some((before, after)) = rest.split_once('{') {
        message.push_str(before);
        message.push('…');
        rest = after.split_once('}').map_or("", |(_, after)| after);
    }
    message + rest
}

/// Returns whether `quotation` is `message` or a part of it: the texts between its gaps are in the message, in order.
fn quotes(quotation: &str, message: &str) -> bool {
    let mut rest = message;
    quotation.split('…').map(str::trim).filter(|part| !part.is_empty()).all(|part| {
        match rest.split_once(part) {
            Some((_, after)) => {
                rest = after;
                true
            }
            None => false,
        }
    })
}

/// Returns the program's sources without tests and without the simulator, whose texts are those of gateway and cloud.
fn sources() -> Vec<(PathBuf, String)> {
    let sources = files("src", &["rs"]).into_iter().filter(|path| !path.starts_with("src/simulator"));
    sources
        .map(|path| {
            let whole = text(&path);
            let program = whole.split("#[cfg(test)]\nmod ").next().unwrap_or_default().to_owned();
            (path, program)
        })
        .collect()
}

/// Returns the quotations in docs/messages.md.
fn quotations() -> BTreeSet<String> {
    let page = text("docs/messages.md");
    let mut quotations = BTreeSet::new();
    let mut messages = false;
    for line in page.lines() {
        let Some(cell) = line.strip_prefix('|').and_then(|row| row.split('|').next()) else {
            messages = false;
            continue;
        };
        messages |= cell.trim() == "message";
        if messages {
            quotations.extend(code(cell).map(str::to_owned));
        }
    }
    assert!(quotations.len() > 50, "{} messages are explained", quotations.len());
    // A quotation of a few letters would match anything.
    let short = |quotation: &&String| quotation.replace('…', "").trim().len() < 8;
    assert_eq!(quotations.iter().filter(short).collect::<Vec<_>>(), Vec::<&String>::new());
    quotations
}

#[test]
fn every_message_that_is_explained_exists_in_the_program() {
    let sources = sources();
    let messages: Vec<String> = sources.iter().flat_map(|(_, source)| literals(source)).collect();
    let messages: Vec<String> = messages.iter().map(|literal| with_gaps(literal)).collect();
    let unknown: Vec<String> = quotations()
        .into_iter()
        .filter(|quotation| !messages.iter().any(|message| quotes(quotation, message)))
        .collect();
    assert!(unknown.is_empty(), "in docs/messages.md, and not in the program:\n{}", unknown.join("\n"));
}

/// Returns the text between the parentheses after each occurrence of `opening`.
fn arguments<'a>(source: &'a str, opening: &'a str) -> impl Iterator<Item = &'a str> {
    source.split(opening).skip(1).map(|rest| {
        let (mut depth, mut within) = (1, false);
        let end = rest.char_indices().find(|(at, c)| {
            match c {
                '"' if !rest[..*at].ends_with('\\') => within = !within,
                '(' if !within => depth += 1,
                ')' if !within => depth -= 1,
                _ => {}
            }
            depth == 0
        });
        &rest[..end.map_or(rest.len(), |(at, _)| at)]
    })
}

#[test]
fn every_warning_and_error_of_the_program_is_explained() {
    let quotations = quotations();
    let (mut unexplained, mut checked) = (Vec::new(), 0);
    for (path, source) in sources() {
        for opening in ["#[error(", "warn!(", "error!("] {
            for message in arguments(&source, opening).flat_map(literals).map(|literal| with_gaps(&literal)) {
                // A message without text of its own passes on another.
                if message.split('…').all(|part| part.trim().split(' ').count() < 3) {
                    continue;
                }
                checked += 1;
                if !quotations.iter().any(|quotation| quotes(quotation, &message)) {
                    unexplained.push(format!("{}: {message}", path.display()));
                }
            }
        }
    }
    assert!(unexplained.is_empty(), "explain these in docs/messages.md:\n{}", unexplained.join("\n"));
    assert!(checked > 50, "{checked} messages were checked");
}

/// Returns each table and key of the example configuration, e.g. `("[mqtt]", "url")`.
fn example_keys() -> BTreeSet<(String, String)> {
    let mut table = String::new();
    let mut keys = BTreeSet::new();
    for line in text("src/app/config/example.toml").lines() {
        let line = line.strip_prefix('#').unwrap_or(line);
        if line.starts_with('[') {
            line.clone_into(&mut table);
        } else if let Some((key, _)) = line.split_once(" = ").filter(|(key, _)| !key.contains(' ')) {
            keys.insert((table.clone(), key.to_owned()));
        }
    }
    keys
}

/// Returns each table and key of docs/reference.md, from the tables below a heading with the name of a configuration table.
fn reference_keys() -> BTreeSet<(String, String)> {
    let page = text("docs/reference.md");
    let (_, section) = page.split_once("\n## Configuration\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let mut table = String::new();
    let mut keys = BTreeSet::new();
    for line in section.lines() {
        if line.starts_with("### ") {
            code(line).next().unwrap_or_default().clone_into(&mut table);
        } else if let Some(cell) = line.strip_prefix('|').and_then(|row| row.split('|').next()) {
            keys.extend(code(cell).map(|key| (table.clone(), key.to_owned())));
        }
    }
    keys
}

#[test]
fn the_reference_has_every_key_of_the_example_and_no_other() {
    let (example, reference) = (example_keys(), reference_keys());
    assert!(example.len() > 25, "{example:?}");
    let missing: Vec<_> = example.difference(&reference).collect();
    assert!(missing.is_empty(), "not in docs/reference.md: {missing:?}");
    let unknown: Vec<_> = reference.difference(&example).collect();
    assert!(unknown.is_empty(), "in docs/reference.md, and not in the example: {unknown:?}");
}

#[test]
fn every_cited_promise_exists() {
    let page = text("docs/login-promise.md");
    let promised = |name: &&str| page.contains(&format!("**{name} "));
    let is_promise = |word: &&str| {
        let number = word.strip_prefix('L').unwrap_or_default();
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    };
    let mut unknown = Vec::new();
    for path in files("src", &["rs"]).into_iter().chain(files("tests", &["rs"])) {
        let source = text(&path);
        let words = source.split(|c: char| !c.is_alphanumeric() && c != '_');
        let cited: BTreeSet<&str> = words.filter(is_promise).collect();
        unknown.extend(
            cited.iter().filter(|name| !promised(name)).map(|name| format!("{}: {name}", path.display())),
        );
    }
    assert!(unknown.is_empty(), "cited, and not in docs/login-promise.md: {unknown:?}");
}

#[test]
fn every_kind_of_event_in_the_reference_exists_in_the_program() {
    let page = text("docs/reference.md");
    let section = page.split("\n## ").find(|section| section.starts_with("Events\n")).unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix('|')?.split('|').next());
    let kinds: Vec<&str> = rows.flat_map(code).collect();
    assert!(kinds.len() > 10, "{kinds:?}");
    let words: Vec<String> = sources().iter().flat_map(|(_, source)| literals(source)).collect();
    let unknown: Vec<&&str> = kinds.iter().filter(|kind| !words.iter().any(|word| word == **kind)).collect();
    assert!(unknown.is_empty(), "in docs/reference.md, and not in the program: {unknown:?}");
}

#[test]
fn every_cited_section_of_the_protocol_exists() {
    let page = text("docs/protocol.md");
    let sections: Vec<&str> = prose(&page)
        .into_iter()
        .filter_map(|line| line.strip_prefix('#')?.trim_start_matches('#').trim().split(' ').next())
        .map(|number| number.trim_end_matches('.'))
        .collect();
    let mut unknown = Vec::new();
    for path in files("src", &["rs"]).into_iter().chain(files("tests", &["rs"])) {
        let source = text(&path);
        // A citation may be broken over two lines of a comment.
        let words = source.replace("///", " ").replace("//!", " ").replace("//", " ");
        let words: Vec<&str> = words.split_whitespace().collect();
        for cited in words.windows(3).filter(|w| w[0].contains("protocol.md") && w[1].starts_with("section"))
        {
            let number = cited[2].trim_matches(|c: char| !c.is_ascii_digit());
            if !sections.contains(&number) {
                unknown.push(format!("{}: section {number}", path.display()));
            }
        }
    }
    assert!(unknown.is_empty(), "cited, and not in docs/protocol.md:\n{}", unknown.join("\n"));
}

#[test]
fn a_quotation_fits_a_message_with_gaps() {
    let source = r#"f("the gateway at {address} did not \
        answer {path}: {why}"); // "no literal"
        g('"', "it said \"no\"")"#;
    let messages: Vec<String> = literals(source).iter().map(|literal| with_gaps(literal)).collect();
    assert_eq!(messages, ["the gateway at … did not answer …: …", "it said \"no\""]);
    assert!(quotes("the gateway at … did not answer …", &messages[0]));
    assert!(!quotes("the gateway … at did not answer", &messages[0]));
    assert!(!quotes("the gateway at … does not answer", &messages[0]));
}
