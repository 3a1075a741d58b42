//! The page `/info`, with which a gateway identifies itself. It needs no token.

use jiff::Timestamp;
use roxmltree::{Document, Node, ParsingOptions};

use super::firmware::{Firmware, InvalidVersion};
use crate::base::reading::{NotASerial, Serial};

/// The path of the page.
pub const PATH: &str = "/info";

/// The size limit of the page in bytes. Recorded ones have 0.9 to 2.3 kB. Any device on the network can send one before
/// the key is known. The parser compares each attribute of an element with all others: 1.2 MB of them took 16 s.
pub const LIMIT: usize = 16 << 10;
/// The maximum number of elements and texts of the page. Recorded ones have about 150.
const MAX_NODES: u32 = 1000;
/// The maximum length of a part number; recorded ones have 13 characters.
const MAX_PART_NUMBER: usize = 32;

/// The identity and the clock of a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// Twelve digits. A token contains them as `aud`.
    pub serial: Serial,
    /// The firmware version, for comparisons.
    pub firmware: Firmware,
    /// The firmware version as the gateway writes it, with the letter of its kind: "D8.3.5289".
    pub software: String,
    /// The part number, for example "800-00555-r03".
    pub part_number: Option<String>,
    /// `imeter`: whether the model has meters. Absent before firmware 4.
    pub metered_model: Option<bool>,
    /// `web-tokens`: whether a token is required. Absent before firmware 7.
    pub web_tokens: Option<bool>,
    /// The time of the gateway's clock.
    pub time: Option<Timestamp>,
}

impl Info {
    /// Returns whether the gateway requires a token (firmware 7 and later, over TLS) rather than Digest.
    pub fn needs_token(&self) -> bool {
        self.firmware.needs_token() || self.web_tokens == Some(true)
    }

    /// Parses the page. The error describes what is wrong with it, without repeating its text.
    pub fn parse(page: &[u8]) -> Result<Self, String> {
        if page.len() > LIMIT {
            return Err(NOT_A_GATEWAY.to_owned());
        }
        let text = String::from_utf8_lossy(page);
        let text = text.trim_start_matches('\u{feff}').trim();
        // A document type could define entities that expand exponentially.
        let options =
            ParsingOptions { allow_dtd: false, nodes_limit: MAX_NODES, ..ParsingOptions::default() };
        let document = Document::parse_with_options(text, options).map_err(|_xml| damaged(text))?;
        let root = document.root_element();
        if !root.has_tag_name("envoy_info") {
            return Err(NOT_A_GATEWAY.to_owned());
        }
        let device = |name| child(root, "device").and_then(|device| text_of(device, name));
        let serial = device("sn").ok_or("it contains no serial number")?;
        let serial = serial
            .parse()
            .map_err(|NotASerial| "its serial number does not consist of 1 to 16 letters and digits")?;
        let software = device("software").ok_or("it contains no firmware version")?;
        let seconds = text_of(root, "time").and_then(|text| text.parse().ok());
        Ok(Self {
            serial,
            firmware: software.parse().map_err(|InvalidVersion| "its firmware version is invalid")?,
            software: software.to_owned(),
            part_number: device("pn").filter(|number| number.len() <= MAX_PART_NUMBER).map(str::to_owned),
            metered_model: device("imeter").and_then(boolean),
            web_tokens: text_of(root, "web-tokens").and_then(boolean),
            time: seconds.and_then(|seconds| Timestamp::from_second(seconds).ok()),
        })
    }
}

/// The message for the page of another device.
pub const NOT_A_GATEWAY: &str = "this is not an Enphase gateway";
/// The message for a missing page. A gateway that is starting may refuse all pages for some seconds.
pub(super) const NO_INFO_PAGE: &str =
    "the page does not exist; this is not an Enphase gateway, or it is still starting";

fn damaged(text: &str) -> String {
    // A gateway that restarts sends truncated responses; a router sends a page of its own.
    let why = if text.contains("<envoy_info") { "its XML is cut off or damaged" } else { NOT_A_GATEWAY };
    why.to_owned()
}

fn child<'a, 'input>(parent: Node<'a, 'input>, name: &str) -> Option<Node<'a, 'input>> {
    parent.children().find(|node| node.has_tag_name(name))
}

fn text_of<'a>(parent: Node<'a, '_>, name: &str) -> Option<&'a str> {
    child(parent, name)?.text().map(str::trim).filter(|text| !text.is_empty())
}

fn boolean(text: &str) -> Option<bool> {
    text.to_ascii_lowercase().parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn firmware(text: &str) -> Firmware {
        text.parse().unwrap()
    }

    #[test]
    fn a_current_page_is_read() {
        let page = r#"<?xml version="1.0" encoding="UTF-8"?>
            <envoy_info>
              <time>1785332850</time>
              <device><sn>122300000000</sn><pn>800-00555-r03</pn><software>D8.3.5289</software>
                <euaid>4c8675</euaid><seqnum>0</seqnum><apiver>1</apiver><imeter>true</imeter></device>
              <web-tokens>true</web-tokens>
              <package name="app"><pn>500-00002-r01</pn><version>08.03.5289</version></package>
            </envoy_info>"#;
        let info = Info::parse(page.as_bytes()).unwrap();
        assert!(info.needs_token());
        insta::assert_debug_snapshot!(info, @r#"
        Info {
            serial: Serial(
                "122300000000",
            ),
            firmware: Firmware {
                major: 8,
                minor: 3,
                build: 5289,
            },
            software: "D8.3.5289",
            part_number: Some(
                "800-00555-r03",
            ),
            metered_model: Some(
                true,
            ),
            web_tokens: Some(
                true,
            ),
            time: Some(
                2026-07-29T13:47:30Z,
            ),
        }
        "#);
    }

    #[test]
    fn values_that_an_old_page_lacks_are_absent() {
        let page = "\n<?xml version='1.0' encoding='UTF-8'?>\n<envoy_info><device><sn> 121400000000\n</sn>\
                    <software>R3.18</software></device></envoy_info>\n";
        let info = Info::parse(page.as_bytes()).unwrap();
        assert_eq!((info.serial.as_str(), info.firmware), ("121400000000", Firmware::new(3, 18, 0)));
        assert_eq!(
            (info.metered_model, info.web_tokens, info.time, info.part_number),
            (None, None, None, None)
        );
    }

    #[test]
    fn a_token_is_required_by_version_or_by_web_tokens() {
        let page = |software: &str, tokens: &str| {
            let page = format!(
                "<envoy_info><device><sn>1</sn><software>{software}</software></device>{tokens}</envoy_info>"
            );
            Info::parse(page.as_bytes()).unwrap().needs_token()
        };
        assert!(page("D7.0.0", ""));
        assert!(!page("D5.0.62", ""));
        assert!(page("D5.0.62", "<web-tokens>true</web-tokens>"));
    }

    #[test]
    fn the_page_of_another_device_is_recognized() {
        for page in ["<!doctype html><html><title>Router</title>", "{}", "", "<root/>", "\u{0}\u{1}"] {
            assert_eq!(Info::parse(page.as_bytes()), Err(NOT_A_GATEWAY.to_owned()), "{page}");
        }
        let cut = Info::parse(b"<envoy_info><device><sn>1222").unwrap_err();
        assert_eq!(cut, "its XML is cut off or damaged");
    }

    #[test]
    fn an_invalid_serial_number_is_refused() {
        for serial in ["122300000001.copy", "{&quot;a&quot;:1}", "..", "../x", "12345678901234567", "1 2"] {
            let page = format!(
                "<envoy_info><device><sn>{serial}</sn><software>D8.3.5289</software></device></envoy_info>"
            );
            let why = Info::parse(page.as_bytes()).unwrap_err();
            assert!(why.contains("serial number"), "{serial}: {why}");
        }
    }

    #[test]
    fn a_page_that_is_made_to_be_costly_is_refused() {
        let device = "<device><sn>1</sn><software>D8.3.1</software></device>";
        let many = format!("<envoy_info>{device}{}</envoy_info>", "<a/>".repeat(2000));
        let long = format!("<envoy_info>{device}{}</envoy_info>", " ".repeat(LIMIT));
        let doctype = format!("<!DOCTYPE x [<!ENTITY a 'aaaa'>]><envoy_info>{device}&a;</envoy_info>");
        for page in [&many, &long, &doctype] {
            assert!(Info::parse(page.as_bytes()).is_err(), "{}", &page[..60]);
        }
        let deep = format!("<envoy_info>{}", "<a>".repeat(5000));
        assert!(Info::parse(deep.as_bytes()).is_err());
        let page = |number: &str| {
            let page = format!(
                "<envoy_info><device><sn>1</sn><pn>{number}</pn><software>D8.3.1</software></device></envoy_info>"
            );
            Info::parse(page.as_bytes()).unwrap().part_number
        };
        assert_eq!(page("800-00555-r03").as_deref(), Some("800-00555-r03"));
        assert_eq!(page(&"8".repeat(1000)), None);
    }

    #[test]
    fn versions_are_compared_by_number() {
        assert!(firmware("D10.1.2") > firmware("D8.3.1"));
        assert!(firmware("R4.10.35") > firmware("D4.2.27"));
        assert_eq!(firmware("8"), firmware("M8.0.0"));
        assert_eq!(firmware("D8.3.5289").to_string(), "8.3.5289");
        assert_eq!("Dx".parse::<Firmware>(), Err(InvalidVersion));
    }

    proptest! {
        #[test]
        fn a_shown_version_reads_back(major: u32, minor: u32, build: u32) {
            let version = Firmware::new(major, minor, build);
            prop_assert_eq!(firmware(&version.to_string()), version);
        }

        #[test]
        fn no_page_makes_it_panic(page in proptest::collection::vec(any::<u8>(), 0..300)) {
            Info::parse(&page).ok();
        }
    }
}
