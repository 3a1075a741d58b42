//! How each gateway stands, in a few words, for systemd's status line and for whoever polls only once.

use tokio::sync::watch;

/// How one gateway stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// It has not been asked yet.
    #[default]
    Starting,
    /// It was read; a few words of the reading.
    Read(String),
    /// It was not; what the trouble is.
    Trouble(String),
    /// It is not in the configuration any more; the place is free.
    Gone,
}

/// How every gateway stands, each at its place. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Standings(watch::Sender<Vec<Standing>>);

impl Standings {
    /// For no gateway yet; each opens a place of its own.
    pub fn new() -> Self {
        Self::default()
    }

    /// How the gateway at `place` stands now.
    pub fn put(&self, place: usize, standing: Standing) {
        self.0.send_if_modified(|all| match all.get_mut(place) {
            Some(known) if *known != standing => {
                *known = standing;
                true
            }
            _ => false,
        });
    }

    /// A place for one more gateway.
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

    /// A reader, woken by every change.
    pub fn reader(&self) -> watch::Receiver<Vec<Standing>> {
        self.0.subscribe()
    }
}

/// All of it in one line.
pub fn line(all: &[Standing]) -> String {
    let all: Vec<&Standing> = all.iter().filter(|standing| **standing != Standing::Gone).collect();
    if let [one] = all.as_slice() {
        return match one {
            Standing::Starting | Standing::Gone => "looking for the gateway".to_owned(),
            Standing::Read(words) | Standing::Trouble(words) => words.clone(),
        };
    }
    let read = all.iter().filter(|standing| matches!(standing, Standing::Read(_))).count();
    let trouble = all.iter().find_map(|standing| match standing {
        Standing::Trouble(words) => Some(words),
        Standing::Starting | Standing::Read(_) | Standing::Gone => None,
    });
    let first = format!("{read} of {} gateways read", all.len());
    trouble.map_or(first.clone(), |words| format!("{first}; {words}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_gateway_speaks_for_itself_and_several_are_counted() {
        let read = Standing::Read("3.78 kW from the sun".to_owned());
        let trouble = Standing::Trouble("the gateway did not answer".to_owned());
        assert_eq!(line(std::slice::from_ref(&read)), "3.78 kW from the sun");
        assert_eq!(line(&[read.clone(), read.clone()]), "2 of 2 gateways read");
        assert_eq!(line(&[read, trouble]), "1 of 2 gateways read; the gateway did not answer");
        assert_eq!(line(&[Standing::Starting]), "looking for the gateway");
    }

    #[test]
    fn the_place_of_a_gateway_that_is_gone_is_free_and_does_not_count() {
        let standings = Standings::new();
        assert_eq!((standings.open(), standings.open()), (0, 1));
        standings.put(0, Standing::Gone);
        standings.put(1, Standing::Read("3.78 kW from the sun".to_owned()));
        assert_eq!(line(&standings.reader().borrow()), "3.78 kW from the sun");
        assert_eq!((standings.open(), standings.open()), (0, 2));
        assert_eq!(line(&standings.reader().borrow()), "1 of 3 gateways read");
    }
}
