//! The status of each gateway in a few words, for systemd's status line and for `run --once`.

use tokio::sync::watch;

/// The status of one gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// Not polled yet.
    #[default]
    Starting,
    /// The last poll succeeded; a summary of the reading.
    Read(String),
    /// The last poll failed; the reason.
    Trouble(String),
    /// Removed from the configuration; the index can be used again.
    Gone,
}

/// The status of every gateway, each at its index. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Standings(watch::Sender<Vec<Standing>>);

impl Standings {
    /// Creates an empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the status of the gateway at index `place`.
    pub fn put(&self, place: usize, standing: Standing) {
        self.0.send_if_modified(|all| match all.get_mut(place) {
            Some(known) if *known != standing => {
                *known = standing;
                true
            }
            _ => false,
        });
    }

    /// Adds a gateway, and returns its index.
    pub fn open(&self) -> usize {
        let mut place = 0;
        self.0.send_modify(|all| {
            place = all.iter().position(|known| *known == Standing::Gone).unwrap_or(all.len());
            match all.get_mut(place) {
                Some(free) => *free = Standing::default(),
                None => all.push(Standing::default()),
            }
        });
        place
    }

    /// Returns a reader that every change wakes.
    pub fn reader(&self) -> watch::Receiver<Vec<Standing>> {
        self.0.subscribe()
    }
}

/// Describes the status of all gateways in one line.
pub fn line(all: &[Standing]) -> String {
    let all: Vec<&Standing> = all.iter().filter(|standing| **standing != Standing::Gone).collect();
    if let [one] = all.as_slice() {
        return match one {
            Standing::Starting | Standing::Gone => "locating the gateway".to_owned(),
            Standing::Read(words) | Standing::Trouble(words) => words.clone(),
        };
    }
    let read = all.iter().filter(|standing| matches!(standing, Standing::Read(_))).count();
    let trouble = all.iter().find_map(|standing| match standing {
        Standing::Trouble(words) => Some(words),
        Standing::Starting | Standing::Read(_) | Standing::Gone => None,
    });
    let first = format!("{read} of {} gateways responding", all.len());
    trouble.map_or(first.clone(), |words| format!("{first}; {words}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_gateway_is_described_and_several_are_counted() {
        let read = Standing::Read("3.78 kW from the sun".to_owned());
        let trouble = Standing::Trouble("the gateway did not respond".to_owned());
        assert_eq!(line(std::slice::from_ref(&read)), "3.78 kW from the sun");
        assert_eq!(line(&[read.clone(), read.clone()]), "2 of 2 gateways responding");
        assert_eq!(line(&[read, trouble]), "1 of 2 gateways responding; the gateway did not respond");
        assert_eq!(line(&[Standing::Starting]), "locating the gateway");
    }

    #[test]
    fn the_index_of_a_removed_gateway_is_reused_and_does_not_count() {
        let standings = Standings::new();
        assert_eq!((standings.open(), standings.open()), (0, 1));
        standings.put(0, Standing::Gone);
        standings.put(1, Standing::Read("3.78 kW from the sun".to_owned()));
        assert_eq!(line(&standings.reader().borrow()), "3.78 kW from the sun");
        assert_eq!((standings.open(), standings.open()), (0, 2));
        assert_eq!(line(&standings.reader().borrow()), "1 of 3 gateways responding");
    }
}
