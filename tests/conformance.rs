//! What clients of `ActiveMQ` rely on, by the names of its own tests.

mod support;

use support::world::World;
use tidegate::internal::codec::stomp::{OwnedFrame, Verb, Version};

fn frame(verb: Verb) -> OwnedFrame {
    OwnedFrame::new(verb)
}

#[test]
fn test_subscribe_with_auto_ack() {
    let mut world = World::new();
    let client = world.connect(Version::V1_0);
    world.send(
        client,
        &frame(Verb::Subscribe)
            .with("destination", "/queue/a")
            .with("receipt", "1"),
    );
    world.send(
        client,
        &frame(Verb::Send)
            .with("destination", "/queue/a")
            .with("persistent", "true")
            .with_body(b"hello"),
    );
    let receipt = world.receive(client);
    assert_eq!(
        (receipt.verb, receipt.get("receipt-id")),
        (Verb::Receipt, Some("1"))
    );
    let message = world.receive(client);
    assert_eq!(message.body, b"hello", "{message:?}");
    assert_eq!(world.try_receive(client), None);
    let other = world.connect(Version::V1_2);
    world.send(
        other,
        &frame(Verb::Subscribe)
            .with("destination", "/queue/a")
            .with("id", "x"),
    );
    assert_eq!(world.try_receive(other), None);
}
