//! TLS with certificates of the house's own.

use std::fs;
use std::path::{Path, PathBuf};

use enphased::io::mqtt;
use enphased::io::mqtt::certificates::Certificates;
use tokio::process::Command;

use super::{Daemon, Mosquitto, READING, kept, options};

/// Keys and certificates that openssl creates.
struct Ca(PathBuf);

impl Ca {
    async fn new(dir: &Path, name: &str) -> Self {
        let ca = Self(dir.join(name));
        fs::create_dir(&ca.0).unwrap();
        let own = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=test-ca \
                   -keyout ca.key -out ca.pem";
        ca.openssl(own).await;
        ca
    }

    /// Creates a certificate for `name` that is valid for `days`, in `<name>.pem` and `<name>.key`.
    async fn sign(&self, name: &str, days: i32) {
        fs::write(self.file("names"), format!("subjectAltName=DNS:{name}\nbasicConstraints=CA:FALSE\n"))
            .unwrap();
        let request = format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={name} -keyout {name}.key \
             -out {name}.csr"
        );
        self.openssl(&request).await;
        let sign = format!(
            "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days {days} -extfile names \
             -out {name}.pem"
        );
        self.openssl(&sign).await;
    }

    async fn openssl(&self, arguments: &str) {
        let mut command = Command::new("openssl");
        command.args(arguments.split_whitespace()).current_dir(&self.0);
        let output = command.output().await.unwrap_or_else(|error| {
            panic!("openssl does not start ({error}); install it: apt-get install openssl")
        });
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Returns the settings of a listener with the certificate of `name`.
    fn listener(&self, name: &str) -> String {
        let path = |name: &str| self.file(name).display().to_string();
        format!(
            "allow_anonymous true\ncafile {}\ncertfile {}\nkeyfile {}",
            path("ca.pem"),
            path(&format!("{name}.pem")),
            path(&format!("{name}.key"))
        )
    }
}

fn trusting(broker: &Mosquitto, ca_file: PathBuf) -> mqtt::Options {
    let certificates = Certificates { ca_file: Some(ca_file), ..Certificates::default() };
    mqtt::Options { certificates, ..options(broker.address("mqtts")) }
}

#[tokio::test]
async fn over_tls_the_right_ca_connects_and_another_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let (right, wrong) = (Ca::new(dir.path(), "right").await, Ca::new(dir.path(), "wrong").await);
    right.sign("localhost", 30).await;
    let broker = Mosquitto::start(dir, &right.listener("localhost"), "").await;

    let daemon = Daemon::start(trusting(&broker, right.file("ca.pem")));
    daemon.read(8.5);
    kept(&broker, READING, "8.5").await;
    daemon.stop().await;

    let trouble = Daemon::start(trusting(&broker, wrong.file("ca.pem"))).trouble().await;
    assert!(trouble.contains("its CA is unknown; set ca_file"), "{trouble}");
    let trouble = Daemon::start(trusting(&broker, right.file("nothing.pem"))).trouble().await;
    assert!(trouble.contains("nothing.pem: "), "{trouble}");
    let system = mqtt::Options { certificates: Certificates::default(), ..options(broker.address("mqtts")) };
    let trouble = Daemon::start(system).trouble().await;
    assert!(trouble.contains("set ca_file") || trouble.contains("ca_file"), "{trouble}");
}

#[tokio::test]
async fn an_expired_certificate_and_another_name_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let ca = Ca::new(dir.path(), "ca").await;
    ca.sign("localhost", -1).await;
    ca.sign("elsewhere", 30).await;
    let expired = Mosquitto::start(tempfile::tempdir().unwrap(), &ca.listener("localhost"), "").await;
    let trouble = Daemon::start(trusting(&expired, ca.file("ca.pem"))).trouble().await;
    assert!(trouble.contains("it has expired"), "{trouble}");
    let other = Mosquitto::start(tempfile::tempdir().unwrap(), &ca.listener("elsewhere"), "").await;
    let trouble = Daemon::start(trusting(&other, ca.file("ca.pem"))).trouble().await;
    assert!(trouble.contains("it is not valid for \"localhost\""), "{trouble}");
}

#[tokio::test]
async fn a_client_certificate_is_shown_where_one_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let ca = Ca::new(dir.path(), "ca").await;
    ca.sign("localhost", 30).await;
    ca.sign("enphased", 30).await;
    let listener = format!("{}\nrequire_certificate true", ca.listener("localhost"));
    let broker = Mosquitto::start(dir, &listener, "").await;

    let without = Daemon::start(trusting(&broker, ca.file("ca.pem")));
    let trouble = without.trouble().await;
    assert!(trouble.contains("if it requires a client certificate, set client_cert"), "{trouble}");

    let certificates = Certificates {
        ca_file: Some(ca.file("ca.pem")),
        client_cert: Some(ca.file("enphased.pem")),
        client_key: Some(ca.file("enphased.key")),
    };
    let daemon = Daemon::start(mqtt::Options { certificates, ..options(broker.address("mqtts")) });
    daemon.read(6.5);
    kept(&broker, READING, "6.5").await;
}

#[tokio::test]
async fn tls_to_a_plain_port_and_the_reverse_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let ca = Ca::new(dir.path(), "ca").await;
    ca.sign("localhost", 30).await;
    let plain = Mosquitto::anybody().await;
    let trouble = Daemon::start(trusting(&plain, ca.file("ca.pem"))).trouble().await;
    assert!(trouble.contains("if that port does not speak TLS, write mqtt://"), "{trouble}");
    let tls = Mosquitto::start(dir, &ca.listener("localhost"), "").await;
    let trouble = Daemon::start(options(tls.address("mqtt"))).trouble().await;
    assert!(trouble.contains("if that port speaks TLS, write mqtts://"), "{trouble}");
}
