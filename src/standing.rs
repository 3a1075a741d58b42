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
}

/// How every gateway stands, in the order of the configuration. Clones share it.
#[derive(Clone, Debug)]
pub struct Standings(watch::Sender<Vec<Standing>>);

impl Standings {
    /// For so many gateways.
    pub fn new(gateways: usize) -> Self {
        Self(watch::Sender::new(vec![Standing::default(); gateways]))
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

    /// A reader, woken by every change.
    pub fn reader(&self) -> watch::Receiver<Vec<Standing>> {
        self.0.subscribe()
    }
}

/// All of it in one line.
pub fn line(all: &[Standing]) -> String {
    if let [one] = all {
        return match one {
            Standing::Starting => "looking for the gateway".to_owned(),
            Standing::Read(words) | Standing::Trouble(words) => words.clone(),
        };
    }
    let read = all.iter().filter(|standing| matches!(standing, Standing::Read(_))).count();
    let trouble = all.iter().find_map(|standing| match standing {
        Standing::Trouble(words) => Some(words),
        Standing::Starting | Standing::Read(_) => None,
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
}
