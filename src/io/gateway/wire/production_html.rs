//! `/production` of firmware 3: an HTML table with three digits, and the only source before firmware 3.9.

use super::Malformed;
use crate::base::units::{WattHours, Watts};

/// The size limit in bytes. The page has 5 kB.
const MAX_BYTES: usize = 64 << 10;

/// The table. A lifetime total of `133 MWh` changes in steps of `1 MWh`; the total of today is more precise.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProductionHtml {
    /// The present power.
    pub power: Option<Watts>,
    /// The energy since the gateway's midnight.
    pub today: Option<WattHours>,
    /// The lifetime energy of the system.
    pub lifetime: Option<WattHours>,
}

impl ProductionHtml {
    /// Parses the page, by the words before each amount.
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        if body.len() > MAX_BYTES {
            return Err(Malformed::TooLong);
        }
        let words = words(&String::from_utf8_lossy(body));
        let energy = |label: &[&str]| amount(&words, label, "Wh").and_then(WattHours::lifetime);
        let page = Self {
            power: amount(&words, &["Currently"], "W").and_then(Watts::new),
            today: energy(&["Today"]),
            lifetime: energy(&["Since", "Installation"]),
        };
        if page == Self::default() {
            return Err(if words.is_empty() { Malformed::Empty } else { Malformed::OtherForm });
        }
        Ok(page)
    }
}

/// Returns the words between the tags.
fn words(page: &str) -> Vec<String> {
    let mut text = String::with_capacity(page.len());
    let mut inside = false;
    for c in page.chars() {
        match c {
            '<' => inside = true,
            '>' => inside = false,
            _ if inside => continue,
            _ => {}
        }
        text.push(if matches!(c, '<' | '>') { ' ' } else { c });
    }
    text.replace("&nbsp;", " ").split_whitespace().map(str::to_owned).collect()
}

/// Returns the number after `label`, in W or Wh.
fn amount(words: &[String], label: &[&str], unit: &str) -> Option<f64> {
    let at = words.windows(label.len()).position(|some| some == label)?;
    let mut after = words.iter().skip(at + label.len());
    let number: f64 = after.next()?.parse().ok()?;
    let scale = match after.next()?.strip_suffix(unit)? {
        "" => 1.0,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        _ => return None,
    };
    Some(number * scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "<h1>System Energy Production</h1><table><tr><td colspan=\"3\">System has been live since
        <div class=good>Sun Mar 01, 2015 09:00 AM CET</div></td></tr><tr><td>Currently</td>    <td> 1.25 kW</td></tr>
        <tr><td>Today</td>  <td>  850 Wh</td></tr><tr><td>Past Week</td><td>  201 kWh</td></tr>
        <tr><td>Since Installation</td>    <td> 41.7 MWh</td></tr></table>";

    #[test]
    fn amounts_are_found_by_the_words_before_them() {
        let page = ProductionHtml::parse(PAGE.as_bytes()).unwrap();
        assert_eq!(page.power, Watts::new(1250.0));
        assert_eq!(page.today, WattHours::new(850.0));
        assert_eq!(page.lifetime, WattHours::new(41_700_000.0));
    }

    #[test]
    fn an_invalid_amount_costs_only_itself() {
        let odd = PAGE.replace(" 1.25 kW", " - ").replace("850 Wh", "850 kW");
        let page = ProductionHtml::parse(odd.as_bytes()).unwrap();
        assert_eq!((page.power, page.today), (None, None));
        assert_eq!(page.lifetime, WattHours::new(41_700_000.0));
    }

    #[test]
    fn another_html_page_is_refused() {
        assert_eq!(ProductionHtml::parse(b"<html>Not found</html>"), Err(Malformed::OtherForm));
        assert_eq!(ProductionHtml::parse(b"<html></html>"), Err(Malformed::Empty));
        assert_eq!(ProductionHtml::parse("a ".repeat(100_000).as_bytes()), Err(Malformed::TooLong));
    }
}
