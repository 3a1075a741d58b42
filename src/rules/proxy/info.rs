//! The page `/info` with another serial number.

use crate::base::reading::Serial;

/// Returns `page` with `shown` in place of the gateway's serial number; the rest is as it was. A page without one is
/// returned unchanged.
pub fn with_serial(page: &[u8], shown: &Serial) -> Vec<u8> {
    let find = |from: usize, words: &[u8]| {
        let rest = page.get(from..)?;
        rest.windows(words.len()).position(|window| window == words).map(|at| from + at)
    };
    let place = find(0, b"<device").and_then(|device| {
        let start = find(device, b"<sn>")? + b"<sn>".len();
        Some((start, find(start, b"</sn>")?))
    });
    let Some((start, end)) = place else { return page.to_vec() };
    let (before, after) = (page.get(..start).unwrap_or_default(), page.get(end..).unwrap_or_default());
    [before, shown.as_str().as_bytes(), after].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_serial_number_is_replaced() {
        let shown = Serial::parse("999900000001").unwrap();
        let page =
            b"<envoy_info><sn>x</sn><device>\n\t<sn>122300000001</sn>\n<pn>1</pn></device></envoy_info>";
        let replaced = with_serial(page, &shown);
        assert_eq!(
            String::from_utf8(replaced).unwrap(),
            "<envoy_info><sn>x</sn><device>\n\t<sn>999900000001</sn>\n<pn>1</pn></device></envoy_info>"
        );
        for odd in [&b""[..], b"<device>", b"<device><sn>1", b"\xff"] {
            assert_eq!(with_serial(odd, &shown), odd);
        }
    }
}
