//! The status of each gateway in a few words, for systemd's status line and for `run --once`.

use tokio::sync::watch;

use crate::base::reading::Serial;

/// The status of one gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// Not polled yet.
    #[default]
    Starting,
    /// The last poll succeeded; a summary of the reading.
    Read(String),
    /// The last poll failed.
    Trouble {
        /// A stable identifier of the reason.
        kind: &'static str,
        /// The reason.
        message: String,
    },
    /// Removed from the configuration; the index can be used again.
    Removed,
}

/// A gateway as configured, with its status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The address as configured, or what else distinguishes it from the others; empty if nobody asks.
    pub address: String,
    /// The serial number of the gateway there, as configured or once it is known.
    pub serial: Option<Serial>,
    /// The status.
    pub status: Status,
}

/// The status of every gateway, each at its index. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct StatusList(watch::Sender<Vec<Place>>);

impl StatusList {
    /// Creates an empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the status of the gateway at index `place`.
    pub fn put(&self, place: usize, status: Status) {
        self.0.send_if_modified(|all| match all.get_mut(place) {
            Some(known) if known.status != status => {
                known.status = status;
                true
            }
            _ => false,
        });
    }

    /// Sets the address and the serial number of the gateway at index `place`.
    pub fn name(&self, place: usize, address: String, serial: Option<Serial>) {
        self.0.send_if_modified(|all| {
            if let Some(known) = all.get_mut(place) {
                (known.address, known.serial) = (address, serial);
            }
            false
        });
    }

    /// Sets the serial number of the gateway at index `place`.
    pub fn identify(&self, place: usize, serial: &Serial) {
        self.0.send_if_modified(|all| {
            if let Some(known) = all.get_mut(place).filter(|known| known.serial.as_ref() != Some(serial)) {
                known.serial = Some(serial.clone());
            }
            false
        });
    }

    /// Adds a gateway, and returns its index.
    pub fn open(&self) -> usize {
        let mut place = 0;
        self.0.send_modify(|all| {
            place = all.iter().position(|known| known.status == Status::Removed).unwrap_or(all.len());
            match all.get_mut(place) {
                Some(free) => *free = Place::default(),
                None => all.push(Place::default()),
            }
        });
        place
    }

    /// Returns a reader that every change of a status wakes.
    pub fn reader(&self) -> watch::Receiver<Vec<Place>> {
        self.0.subscribe()
    }
}

/// Describes the status of all gateways in one line.
pub fn line(all: &[Place]) -> String {
    let all: Vec<&Status> =
        all.iter().map(|place| &place.status).filter(|status| **status != Status::Removed).collect();
    if let [one] = all.as_slice() {
        return match one {
            Status::Starting | Status::Removed => "locating the gateway".to_owned(),
            Status::Read(words) | Status::Trouble { message: words, .. } => words.clone(),
        };
    }
    let read = all.iter().filter(|status| matches!(status, Status::Read(_))).count();
    let trouble = all.iter().find_map(|status| match status {
        Status::Trouble { message, .. } => Some(message),
        Status::Starting | Status::Read(_) | Status::Removed => None,
    });
    let first = format!("{read} of {} gateways responding", all.len());
    trouble.map_or(first.clone(), |words| format!("{first}; {words}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_gateway_is_described_and_several_are_counted() {
        let read = Status::Read("3.78 kW from the sun".to_owned());
        let trouble = Status::Trouble { kind: "away", message: "the gateway did not respond".to_owned() };
        let line = |statuses: &[Status]| {
            let place = |status: &Status| Place { status: status.clone(), ..Place::default() };
            line(&statuses.iter().map(place).collect::<Vec<_>>())
        };
        assert_eq!(line(std::slice::from_ref(&read)), "3.78 kW from the sun");
        assert_eq!(line(&[read.clone(), read.clone()]), "2 of 2 gateways responding");
        assert_eq!(line(&[read, trouble]), "1 of 2 gateways responding; the gateway did not respond");
        assert_eq!(line(&[Status::Starting]), "locating the gateway");
    }

    #[test]
    fn the_index_of_a_removed_gateway_is_reused_and_does_not_count() {
        let statuses = StatusList::new();
        assert_eq!((statuses.open(), statuses.open()), (0, 1));
        statuses.put(0, Status::Removed);
        statuses.put(1, Status::Read("3.78 kW from the sun".to_owned()));
        assert_eq!(line(&statuses.reader().borrow()), "3.78 kW from the sun");
        assert_eq!((statuses.open(), statuses.open()), (0, 2));
        assert_eq!(line(&statuses.reader().borrow()), "1 of 3 gateways responding");
    }
}
