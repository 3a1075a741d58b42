//! The time zone whose midnight ends a day: from the configuration, from `$TZ`, or the machine's.
//!
//! Zones are read only from the zoneinfo directories, because `$TZ` may name any file, and reading a device or a FIFO
//! might never end.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;

use crate::io::files;

/// The directories with time zones.
const DIRECTORIES: [&str; 4] =
    ["/usr/share/zoneinfo", "/usr/share/lib/zoneinfo", "/usr/lib/zoneinfo", "/etc/zoneinfo"];
/// The machine's time zone: a link to a file in such a directory, or a copy of one.
const LOCALTIME: &str = "/etc/localtime";
/// The part of a path that comes before the name of a zone.
const ZONEINFO: &str = "zoneinfo/";
/// The maximum size of a zone file. The largest one has 4 kB.
const LARGEST: u64 = 64 * 1024;
/// The maximum length of a name (up to 32 characters) or a rule (about 40).
const LONGEST: usize = 100;

/// Returns the zone called `name` in the configuration.
pub(super) fn configured(name: &str) -> Result<TimeZone, String> {
    named(name, &directories()).ok_or_else(|| {
        format!("there is no time zone \"{name}\" on this machine; write one like \"Europe/Amsterdam\"")
    })
}

/// Returns the zone of `tz`, the value of `$TZ`, or the machine's zone; UTC and a warning if it is not available.
pub(super) fn system(tz: Option<&str>) -> (TimeZone, Option<String>) {
    let (directories, localtime) = (directories(), Path::new(LOCALTIME));
    let found = match tz {
        Some(tz) => by_variable(tz, &directories)
            .ok_or_else(|| "TZ in the environment is not a time zone of this machine".to_owned()),
        None => by_file(localtime, &directories),
    };
    match found {
        Ok(zone) => (zone, None),
        Err(reason) => {
            (TimeZone::UTC, Some(format!("{reason}; using UTC. Set time_zone in the configuration")))
        }
    }
}

fn directories() -> Vec<PathBuf> {
    DIRECTORIES.iter().map(PathBuf::from).collect()
}

/// Parses `$TZ`: a name, a path to a zone in one of the directories (both also after a colon), or a POSIX rule. Empty
/// means UTC.
fn by_variable(tz: &str, directories: &[PathBuf]) -> Option<TimeZone> {
    if tz.is_empty() {
        return Some(TimeZone::UTC);
    }
    let text = tz.strip_prefix(':').unwrap_or(tz);
    let name = text.rfind(ZONEINFO).and_then(|at| text.get(at + ZONEINFO.len()..)).unwrap_or(text);
    let rule = || (tz.len() <= LONGEST && !tz.starts_with(':')).then(|| TimeZone::posix(tz).ok()).flatten();
    named(name, directories).or_else(rule)
}

/// Returns the machine's zone from the file `localtime`, or UTC if it is missing.
fn by_file(localtime: &Path, directories: &[PathBuf]) -> Result<TimeZone, String> {
    let target = fs::read_link(localtime).ok();
    let name = target.as_ref().and_then(|path| path.to_str()?.rsplit_once(ZONEINFO)).map(|(_, name)| name);
    if let Some(zone) = name.and_then(|name| named(name, directories)) {
        return Ok(zone);
    }
    match files::read_bounded(localtime, LARGEST) {
        Ok(bytes) => TimeZone::tzif("localtime", &bytes)
            .map_err(|error| format!("{} is not a time zone file: {error}", localtime.display())),
        Err(error) if error.is_missing() => Ok(TimeZone::UTC),
        Err(error) => Err(format!("cannot read the time zone {}: {error}", localtime.display())),
    }
}

/// Returns the zone called `name`, ignoring case.
fn named(name: &str, directories: &[PathBuf]) -> Option<TimeZone> {
    let parts: Vec<&str> = name.split('/').collect();
    let is_part = |part: &&str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+-".contains(&b))
    };
    if name.len() > LONGEST || !parts.iter().all(is_part) {
        return None;
    }
    // UTC is known even without zone files.
    if ["UTC", "Etc/UTC"].iter().any(|utc| utc.eq_ignore_ascii_case(name)) {
        return Some(TimeZone::UTC);
    }
    directories.iter().find_map(|directory| {
        let path = parts.iter().try_fold(directory.clone(), |path, part| entry(&path, part))?;
        TimeZone::tzif(name, &files::read_bounded(&path, LARGEST).ok()?).ok()
    })
}

/// Returns the entry `name` of `directory`, ignoring case.
fn entry(directory: &Path, name: &str) -> Option<PathBuf> {
    let exact = directory.join(name);
    if exact.exists() {
        return Some(exact);
    }
    let mut entries = fs::read_dir(directory).ok()?.flatten();
    let found = entries.find(|entry| entry.file_name().eq_ignore_ascii_case(name))?;
    Some(found.path())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use jiff::Timestamp;
    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    /// Returns a zone file (RFC 8536) without past transitions: one local time type, and the current rule.
    fn tzif() -> Vec<u8> {
        let header = [&b"TZif2"[..], &[0; 15], &[0; 16], &[0, 0, 0, 1], &[0, 0, 0, 4]].concat();
        let kind = [&3600_i32.to_be_bytes()[..], &[0, 0], b"CET\0"].concat();
        [&header, &kind, &header, &kind, &b"\nCET-1CEST,M3.5.0,M10.5.0/3\n"[..]].concat()
    }

    /// Creates a directory with one zone and several files that are not zones.
    fn zones() -> (tempfile::TempDir, Vec<PathBuf>) {
        let dir = tempfile::tempdir().unwrap();
        let zoneinfo = dir.path().join("zoneinfo");
        fs::create_dir_all(zoneinfo.join("Europe")).unwrap();
        fs::write(zoneinfo.join("Europe/Amsterdam"), tzif()).unwrap();
        fs::write(zoneinfo.join("Text"), "no zone").unwrap();
        fs::write(zoneinfo.join("Huge"), vec![0; 1 << 20]).unwrap();
        mknodat(CWD, zoneinfo.join("Fifo"), FileType::Fifo, Mode::RUSR, 0).unwrap();
        symlink("/dev/zero", zoneinfo.join("Zero")).unwrap();
        (dir, vec![zoneinfo])
    }

    /// Returns the offset in summer, in hours.
    fn summer(zone: &TimeZone) -> i8 {
        let june: Timestamp = "2026-06-21T12:00:00Z".parse().unwrap();
        i8::try_from(zone.to_offset(june).seconds() / 3600).unwrap()
    }

    #[test]
    fn a_zone_is_found_by_its_name_its_path_or_its_rule() {
        let (dir, zones) = zones();
        let path = zones[0].join("Europe/Amsterdam");
        for (tz, hours) in [
            ("Europe/Amsterdam", 2),
            ("europe/amsterdam", 2),
            (":Europe/Amsterdam", 2),
            (path.to_str().unwrap(), 2),
            (&format!(":{}", path.display()), 2),
            ("", 0),
            ("UTC", 0),
            ("EST5EDT,M3.2.0,M11.1.0", -4),
            ("<+03>-3", 3),
        ] {
            let zone = by_variable(tz, &zones).unwrap_or_else(|| panic!("{tz}"));
            assert_eq!(summer(&zone), hours, "{tz}");
        }
        drop(dir);
    }

    #[test]
    fn anything_else_is_refused_and_does_not_hang() {
        let (dir, zones) = zones();
        let outside = dir.path().join("outside");
        fs::copy(zones[0].join("Europe/Amsterdam"), &outside).unwrap();
        let (outside, long) = (outside.to_str().unwrap(), "a".repeat(100_000));
        for tz in [
            ":/dev/zero",
            "/dev/zero",
            "Fifo",
            "Zero",
            "Huge",
            "Text",
            "Europe",
            "Mars/Olympus",
            "../outside",
            "Europe/../../outside",
            "Europe//Amsterdam",
            outside,
            "zoneinfo/../../outside",
            ":EST5EDT,M3.2.0,M11.1.0",
            ":",
            "/",
            &long,
        ] {
            assert!(by_variable(tz, &zones).is_none(), "{tz}");
        }
    }

    #[test]
    fn the_zone_of_the_machine_is_a_link_or_a_copy_or_missing() {
        let (dir, zones) = zones();
        let at = |name: &str| dir.path().join(name);
        symlink("../somewhere/zoneinfo/Europe/Amsterdam", at("link")).unwrap();
        fs::copy(zones[0].join("Europe/Amsterdam"), at("copy")).unwrap();
        for (name, hours) in [("link", 2), ("copy", 2), ("none", 0)] {
            assert_eq!(summer(&by_file(&at(name), &zones).unwrap()), hours, "{name}");
        }
        symlink("/dev/zero", at("zero")).unwrap();
        let error = by_file(&at("zero"), &zones).unwrap_err();
        assert!(error.ends_with("it is a device, not a regular file"), "{error}");
        let error = by_file(&zones[0].join("Text"), &zones).unwrap_err();
        assert!(error.contains("is not a time zone file"), "{error}");
    }

    #[test]
    fn an_invalid_variable_means_utc_and_a_warning() {
        let (zone, warning) = system(Some(":/dev/zero"));
        assert_eq!(zone, TimeZone::UTC);
        assert!(warning.unwrap().contains("Set time_zone"));
        assert_eq!(system(Some("UTC")), (TimeZone::UTC, None));
    }
}
