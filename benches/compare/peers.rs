//! Brokers that are found on this machine, each started on a port and in a directory of its own.

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a broker may take to start.
const PATIENCE: Duration = Duration::from_secs(90);

/// Where Debian's packages put what starts them.
const ACTIVEMQ: &str = "/usr/share/activemq/bin/activemq.jar";
const RABBITMQ: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

/// A process that ends with this, and whatever it has started in its group.
pub(crate) struct Started(Child);

impl Started {
    pub(crate) fn start(command: &mut Command) -> Option<Self> {
        Some(Self(command.process_group(0).spawn().ok()?))
    }

    /// The one of its group that does the work: scripts start others.
    pub(crate) fn pid(&self) -> u32 {
        let group = self.0.id();
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let of_group = pids.filter(|pid| stat(*pid, GROUP).next() == Some(f64::from(group)));
        let busiest = of_group.max_by(|a, b| cpu_micros(*a).total_cmp(&cpu_micros(*b)));
        busiest.unwrap_or(group)
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let group = rustix::process::Pid::from_child(&self.0);
        // It may have ended before.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        let _ = self.0.wait();
    }
}

/// A broker that runs.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) url: String,
    pub(crate) process: Started,
    /// Something that it cannot be without.
    _needs: Option<Started>,
}

/// This broker.
pub(crate) fn tidegate(directory: &Path) -> Peer {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command
        .args(["--listen", "stomp=127.0.0.1:0", "--http", "off", "--data"])
        .arg(directory)
        .stdout(Stdio::piped());
    let mut process = Started::start(&mut command).unwrap();
    let lines = BufReader::new(process.0.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let address = lines
        .take_while(|line| !line.starts_with("ready"))
        .filter_map(|line| Some(line.trim().strip_prefix("stomp ")?.trim().to_owned()))
        .last()
        .unwrap();
    Peer {
        name: "tidegate",
        url: format!("stomp://{address}"),
        process,
        _needs: None,
    }
}

/// The others that are installed.
pub(crate) fn others(directory: &Path) -> Vec<Peer> {
    let found = [
        Path::new(ACTIVEMQ).exists().then(|| activemq(directory)),
        Path::new(RABBITMQ).exists().then(|| rabbitmq(directory)),
    ];
    found.into_iter().flatten().flatten().collect()
}

/// `ActiveMQ` with a journal that is flushed for each receipt.
fn activemq(directory: &Path) -> Option<Peer> {
    let base = directory.join("activemq");
    let port = free_port();
    std::fs::create_dir_all(base.join("tmp")).unwrap();
    let configuration = base.join("activemq.xml");
    std::fs::write(&configuration, activemq_configuration(&base, port)).unwrap();
    let property = |name: &str, value: &Path| format!("-D{name}={}", value.display());
    let mut command = Command::new("java");
    command
        .args(["-Xms1g", "-Xmx1g", "-Djava.awt.headless=true"])
        .arg(property("java.io.tmpdir", &base.join("tmp")))
        .arg(property("activemq.home", Path::new("/usr/share/activemq")))
        .arg(property("activemq.base", &base))
        .arg(property("activemq.conf", &base))
        .arg(property("activemq.data", &base))
        .args(["-jar", ACTIVEMQ, "start"])
        .arg(format!("xbean:file:{}", configuration.display()));
    launch("activemq", &mut command, port)
}

fn activemq_configuration(base: &Path, port: u16) -> String {
    let data = base.display();
    format!(
        r#"<beans xmlns="http://www.springframework.org/schema/beans"
 xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
 xsi:schemaLocation="http://www.springframework.org/schema/beans
  http://www.springframework.org/schema/beans/spring-beans.xsd
  http://activemq.apache.org/schema/core http://activemq.apache.org/schema/core/activemq-core.xsd">
 <broker xmlns="http://activemq.apache.org/schema/core" brokerName="peer" useJmx="false"
   advisorySupport="false" dataDirectory="{data}">
  <persistenceAdapter>
   <kahaDB directory="{data}/kahadb" journalDiskSyncStrategy="always"/>
  </persistenceAdapter>
  <transportConnectors>
   <transportConnector name="stomp" uri="stomp+nio://127.0.0.1:{port}?transport.tcpNoDelay=true"/>
  </transportConnectors>
 </broker>
</beans>
"#
    )
}

/// `RabbitMQ` with its STOMP plugin.
fn rabbitmq(directory: &Path) -> Option<Peer> {
    let base = directory.join("rabbitmq");
    let [port, amqp, distribution, names] = [(); 4].map(|()| free_port());
    std::fs::create_dir_all(&base).unwrap();
    let write = |name: &str, text: &str| {
        let path = base.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let stomp = format!(
        "stomp.listeners.tcp.1 = 127.0.0.1:{port}\nstomp.tcp_listen_options.nodelay = true\n"
    );
    // It would start one of its own, which would outlive it.
    let mut epmd = Command::new("epmd");
    epmd.args(["-address", "127.0.0.1", "-port", &names.to_string()]);
    let epmd = Started::start(&mut epmd)?;
    let mut command = Command::new(RABBITMQ);
    command
        .env("HOME", &base)
        .env("RABBITMQ_NODENAME", format!("peer{port}@localhost"))
        .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
        .env("RABBITMQ_NODE_PORT", amqp.to_string())
        .env("RABBITMQ_DIST_PORT", distribution.to_string())
        .env("ERL_EPMD_PORT", names.to_string())
        .env("ERL_EPMD_ADDRESS", "127.0.0.1")
        .env("RABBITMQ_CONF_ENV_FILE", write("environment.conf", ""))
        .env("RABBITMQ_CONFIG_FILE", write("rabbitmq.conf", &stomp))
        .env(
            "RABBITMQ_ENABLED_PLUGINS_FILE",
            write("plugins", "[rabbitmq_stomp].\n"),
        )
        .env("RABBITMQ_MNESIA_BASE", base.join("mnesia"))
        .env("RABBITMQ_LOG_BASE", base.join("log"));
    let peer = launch("rabbitmq", &mut command, port)?;
    Some(Peer {
        url: format!("stomp://guest:guest@127.0.0.1:{port}//"),
        _needs: Some(epmd),
        ..peer
    })
}

/// Starts a broker and waits until it takes connections; says so if it does not.
fn launch(name: &'static str, command: &mut Command, port: u16) -> Option<Peer> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let process = Started::start(command)?;
    if !wait_for_port(port) {
        println!("{name} is installed, but does not start");
        return None;
    }
    Some(Peer {
        name,
        url: format!("stomp://127.0.0.1:{port}"),
        process,
        _needs: None,
    })
}

pub(crate) fn free_port() -> u16 {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap().port()
}

/// Waits until somebody listens; not for ever.
pub(crate) fn wait_for_port(port: u16) -> bool {
    let ends = Instant::now() + PATIENCE;
    while Instant::now() < ends {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

/// The CPU time of a process so far, in microseconds.
pub(crate) fn cpu_micros(pid: u32) -> f64 {
    const TICK_MICROS: f64 = 10_000.0;
    stat(pid, CPU).take(2).sum::<f64>() * TICK_MICROS
}

/// Places in a process's line of statistics, counted from behind its name.
const GROUP: usize = 2;
const CPU: usize = 11;

/// Numbers from a process's line of statistics, from a place on.
fn stat(pid: u32, from: usize) -> impl Iterator<Item = f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The second field is the name, in parentheses, which may hold anything.
    let fields = text.rsplit_once(") ").map_or("", |(_, fields)| fields);
    let fields = fields.split(' ').skip(from);
    let numbers: Vec<f64> = fields.map_while(|field| field.parse().ok()).collect();
    numbers.into_iter()
}
