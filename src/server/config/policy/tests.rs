//! Policies as users write them, right and wrong.

use super::super::load::{Entries, Sources};
use super::super::problem::Source;
use super::super::{Loaded, Problems, destination};
use super::*;

fn load(files: &[&str]) -> Result<Loaded, Problems> {
    let mut entries = Entries::gather(&Sources::default());
    for (number, text) in files.iter().enumerate() {
        entries.read_text(Source {
            path: format!("{number}.toml"),
            text: (*text).to_owned(),
        });
    }
    Loaded::judge(entries)
}

#[track_caller]
fn complaint(text: &str) -> String {
    load(&[text]).expect_err("it is wrong").to_string()
}

#[test]
fn a_policy_has_the_settings_of_a_destination() {
    let text = "[[policy]]\nmatch = \"queue://orders.>\"\nprefetch = 1\nmax_bytes = \"1GiB\"\n\
                when_full = \"drop-oldest\"\ndead_letter.queue = \"DLQ.{name}\"\n\
                groups = { rebalance = \"off\" }\n";
    let loaded = load(&[text]).unwrap();
    let [policy] = loaded.settings.policies.as_slice() else {
        panic!("one policy")
    };
    assert_eq!(policy.kind, Some(Kind::Queue));
    assert_eq!(policy.pattern.as_str(), "orders.>");
    assert_eq!(policy.destination.prefetch, Some(1));
    assert_eq!(policy.destination.max_bytes, Some(Some(1 << 30)));
    assert_eq!(policy.destination.redelivery_max, None);
    let queue = policy.dead_letter.queue.as_ref().unwrap();
    assert_eq!(queue.as_str(), "DLQ.{name}");
    assert!(policy.groups.rebalance.is_some());
}

#[test]
fn policies_of_all_files_count_and_both_spellings_of_a_kind() {
    let files = [
        "[[policy]]\nmatch = \"/topic/a\"\n[[policy]]\nmatch = \">\"\nprefetch = 2\n",
        "[[policy]]\nmatch = \"topic://a\"\n",
    ];
    let loaded = load(&files).unwrap();
    let found = loaded.settings.policies.iter();
    let found: Vec<_> = found
        .map(|policy| (policy.kind, policy.pattern.as_str()))
        .collect();
    let topic = (Some(Kind::Topic), "a");
    assert_eq!(found, [topic, (None, ">"), topic]);
}

#[test]
fn mistakes_are_named_with_their_place() {
    let head = "[[policy]]\nmatch = \"queue://a\"\n";
    for (text, expected) in [
        ("prefetc = 1\n", "unknown setting `prefetc` in a policy"),
        ("prefetc = 1\n", "did you mean `prefetch`?"),
        ("prefetc = 1\n", "0.toml:3:1"),
        ("prefetch = \"many\"\n", "`prefetch` takes a whole number"),
        ("prefetch = \"many\"\n", "0.toml:3:12"),
        ("dead_leter.queue = \"x\"\n", "did you mean"),
        ("dead_letter.queu = \"x\"\n", "`dead_letter.queue`"),
        ("dead_letter.queue = \"{nam}\"\n", "only {name} and {kind}"),
        ("dead_letter.queue = 1\n", "`dead_letter.queue` takes"),
        (
            "destination.prefetch = 1\n",
            "stand in a policy by themselves",
        ),
        ("memory.limit = \"1GiB\"\n", "unknown setting `memory`"),
        ("limits.max_frame = 1\n", "unknown setting `limits`"),
        (
            "max_destinations = 1\n",
            "unknown setting `max_destinations`",
        ),
        ("topic_prefetch = 1\n", "no effect on a queue"),
        ("when_full = \"explode\"\n", "one of \"block\", \"reject\""),
        ("max_messages = 0\n", "whole number from 1"),
    ] {
        let shown = complaint(&format!("{head}{text}"));
        assert!(shown.contains(expected), "{text}{shown}");
    }
    let shown = complaint("[[policy]]\nmatch = \"topic://a\"\nprefetch = 1\n");
    assert!(shown.contains("did you mean `topic_prefetch`?"), "{shown}");
}

#[test]
fn a_policy_says_what_it_matches() {
    for (line, expected) in [
        ("", "needs a pattern"),
        ("match = 5", "takes a pattern of names; found the number 5"),
        ("match = \"\"", "a destination needs a name"),
        ("match = \"queue://\"", "a destination needs a name"),
        ("match = \"queue://a,b\"", "takes one pattern"),
        ("match = \"temp-queue://a\"", "takes one pattern"),
        ("match = \"/dsub/a\"", "takes one pattern"),
    ] {
        let shown = complaint(&format!("[[policy]]\n{line}\n"));
        assert!(shown.contains(expected), "{line}: {shown}");
        assert!(shown.contains("0.toml:"), "{shown}");
    }
}

#[test]
fn a_policy_is_an_entry_of_a_list_in_a_file() {
    for text in ["[policy]\nprefetch = 1\n", "policy = 5\n", "policy = [1]\n"] {
        let shown = complaint(text);
        assert!(shown.contains("write [[policy]]"), "{text}{shown}");
    }
    let mut sources = Sources::default();
    let variable = "TIDEGATE__POLICY__PREFETCH".to_owned();
    sources.environment.push((variable, "1".to_owned()));
    let shown = Loaded::read(&sources).unwrap_err().to_string();
    assert!(shown.contains("in files only"), "{shown}");
}

#[test]
fn a_destination_is_explained_to_the_column() {
    let files = [
        "[destination]\nprefetch = 7\nredelivery_max = 1\n[[policy]]\nmatch = \"queue://orders.eu\"\n\
         max_bytes = \"1MiB\"\n",
        "[[policy]]\nmatch = \"orders.>\"\nredelivery_max = 3\nmax_bytes = \"2MiB\"\n\
           dead_letter.queue = \"DLQ.{name}\"\n",
    ];
    let loaded = load(&files).unwrap();
    let orders = destination("queue://orders.eu").unwrap();
    let explained = loaded.explain(&orders);
    let found = |key: &str| {
        let setting = explained.settings.iter().find(|s| s.key == key).unwrap();
        let policy = setting.policy.as_deref().unwrap_or("-");
        format!("{} {} {policy}", setting.value, setting.origin)
    };
    assert_eq!(found("destination.prefetch"), "7 0.toml:2:1 -");
    assert_eq!(found("destination.redelivery_max"), "3 1.toml:3:1 orders.>");
    let size = "\"1MiB\" 0.toml:6:1 queue://orders.eu";
    assert_eq!(found("destination.max_bytes"), size);
    let queue = "\"DLQ.{name}\" 1.toml:5:13 orders.>";
    assert_eq!(found("dead_letter.queue"), queue);
    assert_eq!(found("groups.rebalance"), "\"drain\" default -");
    let policies: Vec<_> = explained.policies.iter().map(|(m, _)| m.as_str()).collect();
    assert_eq!(policies, ["orders.>", "queue://orders.eu"]);
    let shown = explained.to_string();
    assert!(
        shown.contains("# 0.toml:6:1, policy queue://orders.eu"),
        "{shown}"
    );
    let json = explained.json();
    assert_eq!(json["destination"], "queue://orders.eu");
    assert_eq!(json["policies"][1]["match"], "queue://orders.eu");

    let topic = loaded.explain(&destination("/topic/orders.eu").unwrap());
    let keys: Vec<_> = topic.settings.iter().map(|setting| setting.key).collect();
    assert!(keys.contains(&"destination.topic_prefetch"));
    assert!(!keys.contains(&"destination.prefetch"));
}

#[test]
fn the_printed_configuration_has_its_policies() {
    let text = "[[policy]]\nmatch = \"queue://a.\\\"b\"\nprefetch = 3\n\
                dead_letter.ttl = \"1d\"\ngroups.remember = 5\n[[policy]]\nmatch = \">\"\n";
    let loaded = load(&[text]).unwrap();
    let printed = loaded.print();
    assert!(printed.contains("prefetch = 3"), "{printed}");
    let again = load(&[&printed]).unwrap();
    assert_eq!(again.settings, loaded.settings);
}

#[test]
fn what_changes_between_two_readings_is_listed() {
    let before = load(&["[destination]\nprefetch = 1\n[limits]\nmax_headers = 20\n"]).unwrap();
    let after = "[destination]\nprefetch = 2\n[[policy]]\nmatch = \"a\"\n\
                 [[listener]]\nname = \"stomp\"\nnack = \"requeue\"\n";
    let after = load(&[after]).unwrap();
    let changes = before.changes(&after);
    let shown = |live: bool| -> Vec<_> {
        let of = changes.iter().filter(|change| change.live == live);
        of.map(|change| change.key.as_str()).collect()
    };
    assert_eq!(shown(true), ["destination.prefetch", "policy"]);
    assert_eq!(shown(false), ["listener.stomp.nack", "limits.max_headers"]);
    assert!(before.changes(&before).is_empty());
}
