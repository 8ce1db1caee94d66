//! Composite destinations as users write them, right and wrong.

use super::super::load::Sources;
use super::super::{Loaded, Problems};
use super::*;

fn load(text: &str) -> Result<Loaded, Problems> {
    let mut entries = Entries::gather(&Sources::default());
    entries.read_text(Source {
        path: "t.toml".to_owned(),
        text: text.to_owned(),
    });
    Loaded::judge(entries)
}

const RIGHT: &str = "[[composite]]\nname = \"queue://orders\"\nforward_only = false\n\
    forward_to = [\n  \"queue://a\",\n  \"/topic/b\",\n  { to = \"c\", selector = \"x > '\\\"'\" },\n]\n";

#[test]
fn a_composite_destination_names_others() {
    let loaded = load(RIGHT).unwrap();
    let [composite] = loaded.settings.composites.as_slice() else {
        panic!("one composite")
    };
    assert_eq!(composite.name.to_string(), "queue://orders");
    let to: Vec<_> = composite
        .forward_to
        .iter()
        .map(|b| b.to.to_string())
        .collect();
    assert_eq!(to, ["queue://a", "topic://b", "queue://c"]);
    let selector = composite.forward_to[2].selector.as_ref().unwrap();
    assert_eq!(selector.text(), "x > '\"'");
    assert!(!composite.forward_only && !composite.send_when_not_matched);
}

#[test]
fn it_is_printed_so_that_it_can_be_read_back() {
    let loaded = load(RIGHT).unwrap();
    let printed = loaded.print();
    let again = load(&printed).unwrap_or_else(|problems| panic!("{printed}{problems}"));
    assert_eq!(again.settings, loaded.settings);
}

#[test]
fn mistakes_are_named_with_their_place() {
    let head = "[[composite]]\nname = \"queue://in\"\n";
    for (text, expected) in [
        ("", "needs something to forward to"),
        ("forward_to = \"queue://a\"\n", "`forward_to` is a list"),
        ("forward_to = []\n", "needs something to forward to"),
        (
            "forward_to = [5]\n",
            "takes a destination; found the number 5",
        ),
        ("forward_to = [\"queue://a.>\"]\n", "is a pattern"),
        ("forward_to = [\"a,b\"]\n", "takes one destination"),
        (
            "forward_to = [{ selector = \"x = 1\" }]\n",
            "`forward_to` names no destination",
        ),
        (
            "forward_to = [{ too = \"a\" }]\n",
            "did you mean `forward_to.to`?",
        ),
        (
            "forward_to = [{ to = \"a\", selector = \"x >\" }]\n",
            "`selector` cannot be read",
        ),
        (
            "forward_to = [{ to = \"a\", selector = \"x >\" }]\n",
            "t.toml:3:38",
        ),
        (
            "forward_to = [\"a\"]\nforward_onyl = true\n",
            "did you mean `forward_only`?",
        ),
        (
            "forward_to = [\"a\"]\nforward_only = \"yes\"\n",
            "takes true or false",
        ),
    ] {
        let shown = load(&format!("{head}{text}")).expect_err(text).to_string();
        assert!(
            shown.contains(expected) && shown.contains("t.toml:"),
            "{text}{shown}"
        );
    }
    let shown = load("[[composite]]\nforward_to = [\"a\"]\n").unwrap_err();
    assert!(shown.to_string().contains("`name` names no destination"));
}

#[test]
fn twice_the_same_and_rounds_are_refused() {
    let one = |name: &str, to: &str| {
        format!("[[composite]]\nname = \"{name}\"\nforward_to = [\"{to}\"]\n")
    };
    let twice = load(&(one("a", "b") + &one("queue://a", "c"))).unwrap_err();
    assert!(
        twice
            .to_string()
            .contains("queue://a is a composite destination twice")
    );
    let round = load(&(one("a", "b") + &one("b", "a"))).unwrap_err();
    assert!(round.to_string().contains("would go round in circles"));
    assert!(load(&one("a", "a")).is_ok(), "it keeps a copy");
}
