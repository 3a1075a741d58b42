//! The house plan: the folders of `src/` are layers in the order of `lib.rs`, and files do not depend on each other in
//! circles.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};

/// A module by its path below the crate, e.g. `["io", "gateway", "client"]`.
type Module = Vec<String>;

/// What one file of the program says about others.
#[derive(Debug, Default)]
struct Source {
    /// Every path it mentions, as written.
    paths: Vec<Vec<String>>,
    /// The names that it takes from elsewhere, and perhaps hands on, with their paths as written.
    names: BTreeMap<String, Vec<String>>,
    /// The types it defines.
    types: BTreeSet<String>,
    /// The types it has inherent `impl` blocks of.
    impls: BTreeSet<String>,
}

impl Source {
    fn parse(text: &str) -> Self {
        let mut source = Self::default();
        source.visit_file(&syn::parse_file(text).expect("a source file is Rust"));
        source
    }

    /// A name that is only handed on is not used here.
    fn add_use(&mut self, before: &[String], tree: &syn::UseTree, handed_on: bool) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        let (path, name) = match tree {
            syn::UseTree::Path(path) => return self.add_use(&with(&path.ident), &path.tree, handed_on),
            syn::UseTree::Group(group) => {
                return group.items.iter().for_each(|item| self.add_use(before, item, handed_on));
            }
            syn::UseTree::Name(name) if name.ident == "self" => (before.to_vec(), before.last().cloned()),
            syn::UseTree::Name(name) => (with(&name.ident), Some(name.ident.to_string())),
            syn::UseTree::Rename(rename) => (with(&rename.ident), Some(rename.rename.to_string())),
            syn::UseTree::Glob(_) => (before.to_vec(), None),
        };
        if !handed_on {
            self.paths.push(path.clone());
        }
        self.names.extend(name.map(|name| (name, path)));
    }

    /// The paths in the arguments of a macro, which are only tokens.
    fn add_tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.paths.push(std::mem::take(&mut path));
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                other => {
                    self.paths.push(std::mem::take(&mut path));
                    colons = 0;
                    if let TokenTree::Group(group) = other {
                        self.add_tokens(group.stream());
                    }
                }
            }
        }
        self.paths.push(path);
    }
}

/// All identifiers in `tokens`.
fn idents(tokens: TokenStream) -> Vec<String> {
    let each = |token| match token {
        TokenTree::Ident(ident) => vec![ident.to_string()],
        TokenTree::Group(group) => idents(group.stream()),
        TokenTree::Punct(_) | TokenTree::Literal(_) => Vec::new(),
    };
    tokens.into_iter().flat_map(each).collect()
}

fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        syn::Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string().contains("test"),
        _ => false,
    })
}

impl<'ast> Visit<'ast> for Source {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let attributes = match item {
            syn::Item::Mod(item) => &item.attrs,
            syn::Item::Use(item) => &item.attrs,
            syn::Item::Fn(item) => &item.attrs,
            syn::Item::Impl(item) => &item.attrs,
            _ => &Vec::new(),
        };
        if !is_for_tests(attributes) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.add_use(&[], &item.tree, !matches!(item.vis, syn::Visibility::Inherited));
    }

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.types.insert(item.ident.to_string());
        visit::visit_item_struct(self, item);
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.types.insert(item.ident.to_string());
        visit::visit_item_enum(self, item);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if let (None, syn::Type::Path(own)) = (&item.trait_, &*item.self_ty)
            && let Some(name) = own.path.segments.last()
        {
            self.impls.insert(name.ident.to_string());
        }
        visit::visit_item_impl(self, item);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.paths.push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    /// `pub(super)` uses nothing.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    /// A macro that stands for items may define the types that it is given.
    fn visit_item_macro(&mut self, item: &'ast syn::ItemMacro) {
        self.types.extend(idents(item.mac.tokens.clone()));
        visit::visit_item_macro(self, item);
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        self.add_tokens(item.tokens.clone());
    }
}

/// The program's modules and what each mentions.
struct House {
    layers: Vec<String>,
    sources: BTreeMap<Module, Source>,
}

impl House {
    fn read() -> Self {
        let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let map = fs::read_to_string(src.join("lib.rs")).unwrap();
        let layer = |line: &str| Some(line.strip_prefix("pub mod ")?.strip_suffix(';')?.to_owned());
        let layers = map.lines().filter_map(layer).collect();
        let mut files = Vec::new();
        collect(&src, &mut files);
        let module = |path: &Path| -> Option<Module> {
            let inside = path.strip_prefix(&src).ok()?.with_extension("");
            let mut parts: Module =
                inside.iter().map(|part| part.to_str().expect("a file name is UTF-8").to_owned()).collect();
            match parts.last().map(String::as_str) {
                Some("main" | "lib") => return None,
                Some("mod") => drop(parts.pop()),
                _ => {}
            }
            Some(parts)
        };
        let sources = files.iter().filter_map(|path| {
            let text = fs::read_to_string(path).unwrap();
            Some((module(path)?, Source::parse(&text)))
        });
        let sources: BTreeMap<Module, Source> = sources.collect();
        // Files that only tests see.
        let sources = sources.into_iter().filter(|(module, _)| !only_for_tests(&src, module)).collect();
        Self { layers, sources }
    }

    /// The module that a path written in `own` leads into, if it is one of the program's. A name that a module only
    /// hands on leads to where it comes from.
    fn resolve(&self, own: &Module, path: &[String]) -> Option<Module> {
        let mut base = own.clone();
        let mut rest = path;
        match path.first().map(String::as_str)? {
            // No more than a visibility.
            _ if path == ["super"] || path == ["crate"] => return None,
            "crate" => (base, rest) = (Vec::new(), &path[1..]),
            "self" => rest = &path[1..],
            "super" => {
                while rest.first().is_some_and(|part| part == "super") {
                    base.pop();
                    rest = &rest[1..];
                }
            }
            child => {
                base.push(child.to_owned());
                rest = &path[1..];
                self.sources.get(&base)?;
            }
        }
        while let Some((part, after)) = rest.split_first() {
            let child = [&base[..], std::slice::from_ref(part)].concat();
            if !self.sources.contains_key(&child) {
                let from = self.sources.get(&base).and_then(|source| source.names.get(part));
                return match from.filter(|_| base != *own) {
                    Some(from) => self.resolve(&base, &[&from[..], after].concat()),
                    None => self.sources.contains_key(&base).then_some(base),
                };
            }
            (base, rest) = (child, after);
        }
        self.sources.contains_key(&base).then_some(base)
    }

    fn uses(&self, own: &Module) -> BTreeSet<Module> {
        let paths = self.sources[own].paths.iter();
        paths.filter_map(|path| self.resolve(own, path)).filter(|used| used != own).collect()
    }

    /// By which names `own` uses `used`.
    fn by(&self, own: &Module, used: &Module) -> Vec<String> {
        let paths = self.sources[own].paths.iter();
        let names = paths.filter(|path| self.resolve(own, path).as_ref() == Some(used));
        names.map(|path| path.join("::")).collect::<BTreeSet<_>>().into_iter().collect()
    }

    fn place(&self, module: &Module) -> usize {
        let layer = &module[0];
        let place = self.layers.iter().position(|known| known == layer);
        place.unwrap_or_else(|| panic!("lib.rs does not list {layer}"))
    }
}

fn collect(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Whether `module` is declared below `#[cfg(test)]`, or is inside of one that is.
fn only_for_tests(src: &Path, module: &Module) -> bool {
    (1..=module.len()).any(|depth| {
        let parent: PathBuf = src.join(module[..depth - 1].iter().collect::<PathBuf>());
        let file = [parent.join("mod.rs"), parent.with_extension("rs"), parent.join("lib.rs")];
        let Some(text) = file.iter().find_map(|path| fs::read_to_string(path).ok()) else { return false };
        let declared = syn::parse_file(&text).unwrap().items.into_iter().find_map(|item| match item {
            syn::Item::Mod(item) if item.ident == module[depth - 1] => Some(item),
            _ => None,
        });
        declared.is_some_and(|item| is_for_tests(&item.attrs))
    })
}

#[test]
fn each_layer_uses_only_those_below_it() {
    let house = House::read();
    assert!(house.layers.len() >= 6 && house.sources.len() > 100, "the plan and the files were found");
    let mut upward = Vec::new();
    for own in house.sources.keys() {
        for used in house.uses(own).iter().filter(|used| !used.is_empty()) {
            // The simulator must not share a misreading with the program it answers.
            let beside = used[0] == "simulator" && !["simulator", "app"].contains(&own[0].as_str());
            let shared = ["simulator", "base"].contains(&used[0].as_str());
            let borrowed = own[0] == "simulator" && !shared;
            if house.place(used) > house.place(own) || beside || borrowed {
                upward.push(format!("{} uses {}", own.join("::"), used.join("::")));
            }
        }
    }
    assert!(upward.is_empty(), "against the house plan:\n{}", upward.join("\n"));
}

#[test]
fn no_files_depend_on_each_other_in_a_circle() {
    let house = House::read();
    let uses: BTreeMap<&Module, BTreeSet<Module>> =
        house.sources.keys().map(|own| (own, house.uses(own))).collect();
    let reaches = |from: &Module, to: &Module| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![from.clone()]);
        while let Some(next) = open.pop() {
            for used in uses.get(&next).into_iter().flatten() {
                if used == to {
                    return true;
                }
                if seen.insert(used.clone()) {
                    open.push(used.clone());
                }
            }
        }
        false
    };
    let circles: Vec<String> = uses
        .keys()
        .flat_map(|own| uses[*own].iter().map(move |used| (*own, used)))
        .filter(|(own, used)| reaches(used, own))
        .map(|(own, used)| {
            format!("{} -> {} ({})", own.join("::"), used.join("::"), house.by(own, used).join(", "))
        })
        .collect();
    assert!(circles.is_empty(), "these files are in a circle:\n{}", circles.join("\n"));
}

#[test]
fn the_methods_of_a_type_are_in_its_file() {
    let house = House::read();
    let spread: Vec<String> = house
        .sources
        .iter()
        .flat_map(|(own, source)| source.impls.difference(&source.types).map(move |name| (own, name)))
        .map(|(own, name)| format!("{} has methods of {name}", own.join("::")))
        .collect();
    assert!(spread.is_empty(), "these methods are away from their type:\n{}", spread.join("\n"));
}

#[test]
fn paths_are_found_in_uses_expressions_and_macros_and_not_in_tests() {
    let source = Source::parse(
        "use crate::base::{clock::{Clock, Moment}, units};\nfn f() { crate::io::token::decode(); \
         info!(x = super::g()); }\npub use crate::app::cli;\n#[cfg(test)]\nmod tests { use crate::app; }",
    );
    let found = |path: &str| source.paths.iter().any(|known| known.join("::") == path);
    for path in ["crate::base::clock::Moment", "crate::base::units", "crate::io::token::decode", "super::g"] {
        assert!(found(path), "{path} in {:?}", source.paths);
    }
    assert!(!found("crate::app") && !found("crate::app::cli"));
}
