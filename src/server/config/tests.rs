//! Configurations as users write them, right and wrong.

use std::time::Duration;

use super::load::{Entries, Override, Sources};
use super::problem::Source;
use super::*;

pub(super) fn from_text(text: &str) -> Result<Settings, Problems> {
    let mut entries = Entries::gather(&Sources::default());
    entries.read_text(Source {
        path: "t.toml".to_owned(),
        text: text.to_owned(),
    });
    Loaded::judge(entries).map(|loaded| loaded.settings)
}

fn complaint(text: &str) -> String {
    from_text(text).expect_err("it is wrong").to_string()
}

fn flag(key: &str, value: &str) -> Override {
    let flag = format!("--set {key}={value}");
    Override {
        key: key.to_owned(),
        value: value.to_owned(),
        flag,
    }
}

#[test]
fn an_empty_file_is_valid_and_means_the_defaults() {
    let settings = from_text("").unwrap();
    assert_eq!(settings.broker.shutdown_grace, Duration::from_secs(30));
    assert_eq!(settings.memory.limit, Share::Percent(60.0));
    assert_eq!(settings.store.durability, Durability::Sync);
    assert_eq!(settings.destination.max_bytes, None);
    assert_eq!(settings.listeners.len(), 1);
    let stomp = &settings.listeners["stomp"];
    assert_eq!(stomp.bind.to_string(), "127.0.0.1:61613");
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        stomp.server_header,
        format!("Tidegate/{version} (ActiveMQ compatible)")
    );
}

#[test]
fn later_sources_win() {
    let directory = tempfile::tempdir().unwrap();
    let main = directory.path().join("tidegate.toml");
    let extra = directory.path().join("conf.d");
    std::fs::create_dir(&extra).unwrap();
    let text = "[limits]\nmax_headers = 20\nmax_connections = 1\n\
                max_subscriptions_per_connection = 1\nmax_destinations = 1\n";
    std::fs::write(&main, text).unwrap();
    std::fs::write(extra.join("20.toml"), "limits.max_connections = 3\n").unwrap();
    let text = "[limits]\nmax_connections = 2\nmax_subscriptions_per_connection = 2\n\
                max_destinations = 2\n";
    std::fs::write(extra.join("10.toml"), text).unwrap();
    std::fs::write(extra.join("ignored.txt"), "nonsense").unwrap();
    let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let sources = Sources {
        file: Some(main),
        environment: vec![
            variable("TIDEGATE__LIMITS__MAX_SUBSCRIPTIONS_PER_CONNECTION", "4"),
            variable("TIDEGATE__LIMITS__MAX_DESTINATIONS", "4"),
            variable("TIDEGATE_CONFIG", "elsewhere"),
            variable("PATH", "/bin"),
        ],
        overrides: vec![flag("limits.max_destinations", "5")],
    };
    let loaded = Loaded::read(&sources).unwrap();
    let limits = &loaded.settings.limits;
    assert_eq!(limits.max_headers, 20);
    assert_eq!(limits.max_connections, 3);
    assert_eq!(limits.max_subscriptions_per_connection, 4);
    assert_eq!(limits.max_destinations, 5);

    let printed = loaded.print();
    assert!(printed.contains("20.toml:1"), "{printed}");
    assert!(
        printed.contains("# --set limits.max_destinations=5"),
        "{printed}"
    );
    assert_eq!(from_text(&printed).unwrap(), loaded.settings);
}

#[test]
fn a_variable_reads_its_value_from_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("name");
    std::fs::write(&path, "harbour\n").unwrap();
    let name = "TIDEGATE__BROKER__NAME__FILE".to_owned();
    let mut sources = Sources::default();
    sources
        .environment
        .push((name.clone(), path.display().to_string()));
    assert_eq!(
        Loaded::read(&sources).unwrap().settings.broker.name,
        "harbour"
    );
    sources.environment = vec![(name, "/no/such/file".to_owned())];
    let shown = Loaded::read(&sources).unwrap_err().to_string();
    assert!(shown.contains("$TIDEGATE__BROKER__NAME__FILE"), "{shown}");
}

#[test]
fn listeners_of_one_name_are_one_listener() {
    let text = "[[listener]]\nname = \"stomp\"\nheart_beat = { min = \"2s\" }\n\
                [[listener]]\nname = \"inner\"\nbind = \"127.0.0.2:61613\"\nnack = \"requeue\"\n";
    let settings = from_text(text).unwrap();
    assert_eq!(settings.listeners.len(), 2);
    let stomp = &settings.listeners["stomp"];
    assert_eq!(stomp.bind.to_string(), "127.0.0.1:61613");
    assert_eq!(stomp.heart_beat.min, Duration::from_secs(2));
    assert_eq!(settings.listeners["inner"].nack, NackMode::Requeue);

    let disabled = from_text(&format!("{text}[listener.stomp]\nenabled = false\n"));
    assert!(
        disabled.is_err(),
        "a list and a table of one name do not mix in one file"
    );
    let mut sources = Sources::default();
    sources
        .overrides
        .push(flag("listener.stomp.bind", "[::1]:7000"));
    sources
        .overrides
        .push(flag("listener.b.bind", "127.0.0.1:0"));
    sources
        .overrides
        .push(flag("listener.b.protocols", "stomp"));
    let settings = Loaded::read(&sources).unwrap().settings;
    assert_eq!(settings.listeners["stomp"].bind.to_string(), "[::1]:7000");
    assert_eq!(settings.listeners["b"].protocols, [Protocol::Stomp]);
    sources
        .overrides
        .push(flag("listener.stomp.enabled", "false"));
    assert!(
        !Loaded::read(&sources)
            .unwrap()
            .settings
            .listeners
            .contains_key("stomp")
    );
}

#[test]
fn a_slip_of_the_finger_gets_a_suggestion() {
    let shown = complaint("[limits]\nmax_conections = 5\n");
    assert!(
        shown.contains("unknown setting `limits.max_conections`"),
        "{shown}"
    );
    assert!(shown.contains("t.toml:2:1"), "{shown}");
    assert!(
        shown.contains("did you mean `limits.max_connections`?"),
        "{shown}"
    );
    let shown = complaint("[limit]\nmax_headers = 5\n");
    assert!(shown.contains("did you mean `limits`?"), "{shown}");
    let shown = complaint("[broker]\nmax_headers = 50\n");
    assert!(
        shown.contains("did you mean `limits.max_headers`?"),
        "{shown}"
    );
    let shown =
        complaint("[[listener]]\nname = \"a\"\nbind = \"127.0.0.1:1\"\nnak = \"requeue\"\n");
    assert!(shown.contains("did you mean `listener.a.nack`?"), "{shown}");
    let shown = complaint("[store]\ncompletely_different_words = 1\n");
    assert!(!shown.contains("did you mean"), "{shown}");
}

#[test]
fn what_is_not_built_is_never_ignored() {
    for text in [
        "[tls]\ncert = \"x\"\n",
        "[tls]\n",
        "[[user]]\nname = \"x\"\n",
        "[auth]\nbackends = [\"users\"]\n",
        "[auth.jwt]\naudience = \"x\"\n",
        "[[listener]]\nname = \"stomp\"\ntls = \"optional\"\n",
    ] {
        let shown = complaint(text);
        assert!(shown.contains("is not supported yet"), "{text}: {shown}");
        assert!(
            shown.contains("1 error in the configuration"),
            "{text}: {shown}"
        );
    }
    let mut sources = Sources::default();
    sources
        .overrides
        .push(flag("auth.jwt.jwks_url", "https://example.org"));
    let shown = Loaded::read(&sources).unwrap_err().to_string();
    assert!(
        shown.contains("`auth.jwt.jwks_url` is not supported yet"),
        "{shown}"
    );
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let text = "[broker]\nname = \"\"\nshutdown_grace = 30\n[limits]\nmax_headers = 1\n\
                max_frame = \"1PB\"\nmax_xyz = 1\n[store]\ndurability = \"synced\"\n\
                [http]\nmetrics = \"yes\"\n[memory]\nslow_at = 1.5\nlimit = \"0%\"\n";
    let shown = complaint(text);
    assert!(shown.ends_with("9 errors in the configuration"), "{shown}");
    assert!(shown.contains("a duration such as \"30s\", from 0s to 1h; found the number 30"));
    assert!(
        shown.contains("one of \"sync\", \"relaxed\", \"none\"; found \"synced\""),
        "{shown}"
    );
}

#[test]
fn broken_toml_is_shown_with_its_place() {
    let shown = complaint("[broker]\nname = \n[limits]\nmax_headers = 1\n");
    assert!(shown.contains("not TOML"), "{shown}");
    assert!(shown.contains("t.toml:2:"), "{shown}");
    assert!(shown.contains("`limits.max_headers` takes"), "{shown}");
    let shown = complaint("a = 1\na = 2\n");
    assert!(shown.contains("not TOML: duplicate key"), "{shown}");
}

#[test]
fn the_network_is_opened_only_on_purpose() {
    let bind = "[[listener]]\nname = \"stomp\"\nbind = \"0.0.0.0:61613\"\n";
    let shown = complaint(bind);
    assert!(
        shown.contains("`listener.stomp.bind` would open 0.0.0.0:61613"),
        "{shown}"
    );
    assert!(shown.contains("auth.anonymous = \"always\""), "{shown}");
    assert!(shown.contains("t.toml:3:8"), "{shown}");
    assert!(complaint("http.bind = \"[::]:8161\"\n").contains("`http.bind` would open"));
    let settings = from_text(&format!("{bind}[auth]\nanonymous = \"always\"\n")).unwrap();
    assert!(settings.listeners["stomp"].bind.ip().is_unspecified());
}

#[test]
fn settings_that_contradict_each_other_are_found() {
    let twins = "http.bind = \"127.0.0.1:61613\"\n";
    assert!(complaint(twins).contains("are both 127.0.0.1:61613"));
    assert!(complaint("listener.stomp.enabled = false\n").contains("no listener is enabled"));
    let beats = "listener.stomp.heart_beat = { min = \"1h\", max = \"1s\" }\n";
    assert!(complaint(beats).contains("is longer than `listener.stomp.heart_beat.max`"));
    let disk = "disk = { free_min = \"20%\", free_warn = \"10%\" }\n";
    assert!(complaint(disk).contains("`disk.free_warn` is less than `disk.free_min`"));
    assert!(complaint("memory.limit = \"64MiB\"\n").contains("more than the whole `memory.limit`"));
}

#[test]
fn a_listener_has_a_name_and_an_address() {
    assert!(complaint("[[listener]]\nbind = \"127.0.0.1:1\"\n").contains("needs a name"));
    let shown = complaint("[[listener]]\nname = \"other\"\n");
    assert!(
        shown.contains("`listener.other.bind` has to be set"),
        "{shown}"
    );
    assert!(
        complaint("[[listener]]\nname = \"a b\"\nbind = \"127.0.0.1:1\"\n").contains("letters")
    );
    let twice = "[[listener]]\nname = \"stomp\"\n[[listener]]\nname = \"stomp\"\n";
    assert!(complaint(twice).contains("two listeners named \"stomp\""));
    assert!(complaint("listener = [1]\n").contains("write [[listener]]"));
    assert!(complaint("broker = 5\n").contains("`broker` is a table; found the number 5"));
}

#[test]
fn a_missing_file_is_named() {
    let sources = Sources {
        file: Some("/no/such/tidegate.toml".into()),
        ..Sources::default()
    };
    let shown = Loaded::read(&sources).unwrap_err().to_string();
    assert!(
        shown.contains("cannot read /no/such/tidegate.toml"),
        "{shown}"
    );
}
