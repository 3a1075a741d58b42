use super::*;
use crate::io::webhook::Message;
use crate::rules::alerts::End;

fn item(kind: Kind, ended: Option<&str>) -> Item {
    let since: Timestamp = "2026-06-21T08:14:30Z".parse().unwrap();
    let announcement = match ended {
        None => Announcement::Begun,
        Some(at) => Announcement::Ended(End { since, at: at.parse().unwrap(), is_gone: false }),
    };
    let part = match kind {
        Kind::InverterSilent | Kind::InverterWeak => Some("482200000001".to_owned()),
        Kind::CounterHeld => Some("production".to_owned()),
        _ => None,
    };
    let gateway = (kind != Kind::Disk).then(|| "192.168.1.20".to_owned());
    let problem = Problem { kind, gateway, part };
    Item { problem, serial: None, since, what: "the reason".to_owned(), announcement }
}

fn notice(kind: Kind, ended: Option<&str>) -> Notice {
    Notice { kind, is_end: ended.is_some(), items: vec![item(kind, ended)] }
}

#[test]
fn each_alert_says_what_happened_since_when_and_what_to_do() {
    let mut said = Vec::new();
    for kind in Kind::ALL {
        for ended in [None, Some("2026-06-21T10:20:00Z")] {
            let message = message(&notice(kind, ended), Format::Text, &TimeZone::UTC);
            let headers: Vec<String> =
                message.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
            assert!(headers.iter().all(|header| header.is_ascii()));
            said.push(format!("{}\n{}", headers.join("\n"), message.body));
        }
    }
    insta::assert_snapshot!(said.join("\n\n"));
}

#[test]
fn the_json_object_has_everything_for_programs() {
    let begun = message(&notice(Kind::InverterSilent, None), Format::Json, &TimeZone::UTC);
    let ended =
        message(&notice(Kind::GatewayKey, Some("2026-06-21T10:20:00Z")), Format::Json, &TimeZone::UTC);
    let all = [begun, ended, test_message(Format::Json)].map(|message| {
        let object: serde_json::Value = serde_json::from_str(&message.body).unwrap();
        serde_json::to_string_pretty(&object).unwrap()
    });
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn however_many_fail_with_whatever_reason_the_text_is_short_and_printable() {
    let one = Item { what: "a\nb\u{1b}[31m\u{202e}".repeat(500), ..item(Kind::GatewayUnreachable, None) };
    let many = Notice { items: vec![one; 240], ..notice(Kind::GatewayUnreachable, None) };
    let text = text(&many, &TimeZone::UTC);
    assert!(text.contains("And 235 more."), "{text}");
    assert!(text.chars().count() < 1900 && !text.contains('\u{1b}') && !text.contains('\u{202e}'));
    assert_eq!(text.lines().count(), DESCRIBED + 2);
}

/// What Gotify accepts at `POST /message`: a text, and perhaps a title and an integer.
fn is_for_gotify(object: &serde_json::Value) -> bool {
    let is_text = |name: &str| object[name].as_str().is_some_and(|text| !text.is_empty());
    is_text("message") && is_text("title") && object["priority"].as_u64().is_some_and(|number| number <= 10)
}

/// What Discord accepts at the address of a webhook: `content` of 1 to 2000 characters, and nothing with another type among
/// the fields that it knows.
fn is_for_discord(object: &serde_json::Value) -> bool {
    let known = ["username", "avatar_url", "tts", "embeds", "components", "flags", "attachments", "poll"];
    let length = object["content"].as_str().map_or(0, |text| text.chars().count());
    (1..=2000).contains(&length) && known.iter().all(|name| object.get(name).is_none())
}

/// What ntfy shows as a message: a body of at most 4096 bytes, and headers that it knows.
fn is_for_ntfy(message: &Message) -> bool {
    let header =
        |name: &str| message.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| &**value);
    let is_known = header("priority").is_some_and(|word| ["default", "high"].contains(&word));
    is_known && header("title").is_some_and(str::is_ascii) && (1..=4096).contains(&message.body.len())
}

#[test]
fn every_message_is_one_for_each_server_that_the_documentation_names() {
    for what in ["the reason".to_owned(), "\u{1f31e}".repeat(3000), "\u{202e}\n\"".repeat(3000)] {
        for (kind, ended) in
            Kind::ALL.into_iter().flat_map(|kind| [(kind, None), (kind, Some("2026-06-21T10:20:00Z"))])
        {
            let one = Item { what: what.clone(), ..item(kind, ended) };
            for count in [1, 5, 240] {
                let notice = Notice { items: vec![one.clone(); count], ..notice(kind, ended) };
                let plain = message(&notice, Format::Text, &TimeZone::UTC);
                assert!(is_for_ntfy(&plain), "{kind:?} {count}: {} bytes", plain.body.len());
                let json = message(&notice, Format::Json, &TimeZone::UTC);
                let object: serde_json::Value = serde_json::from_str(&json.body).unwrap();
                assert!(is_for_gotify(&object) && is_for_discord(&object), "{kind:?} {count}: {object}");
            }
        }
    }
    let object = serde_json::from_str(&test_message(Format::Json).body).unwrap();
    assert!(is_for_gotify(&object) && is_for_discord(&object) && is_for_ntfy(&test_message(Format::Text)));
}

#[test]
fn what_does_not_exist_any_more_is_said() {
    let mut item = item(Kind::GatewayUnreachable, Some("2026-06-21T10:20:00Z"));
    item.announcement = Announcement::Ended(End { since: item.since, at: item.since, is_gone: true });
    assert_eq!(line(&item, LONGEST), "gateway 192.168.1.20 was removed or replaced");
    let event = event(&item, item.since);
    assert!(event.is_an_end() && event.kind == "problem_ended", "{event:?}");
}
