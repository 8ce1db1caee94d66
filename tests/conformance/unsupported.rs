//! What brokers like this can do and this one cannot yet: each gets an ERROR that says so, and none is
//! silently taken for something else.

use tidegate::internal::codec::stomp::{OwnedFrame, Verb, Version};

use crate::say::{assert_alive, frame, refused, send, subscribe, waiting};
use crate::support::world::World;

const Q: &str = "/queue/test";
const T: &str = "/topic/test";

/// The names of the tests of `ActiveMQ` that are about each feature come first.
fn table() -> Vec<(&'static str, OwnedFrame)> {
    let with = |name, value| send(Q).with(name, value);
    let on = |name, value| subscribe(Q, "1").with(name, value);
    let to = |destination| subscribe(destination, "1");
    vec![
        ("test_jmsx_group_id_can_be_set", with("JMSXGroupID", "a")),
        ("groups", with("JMSXGroupSeq", "-1")),
        (
            "test_send_message_with_delay",
            with("AMQ_SCHEDULED_DELAY", "2000"),
        ),
        ("schedules", with("AMQ_SCHEDULED_PERIOD", "1000")),
        ("schedules", with("AMQ_SCHEDULED_REPEAT", "3")),
        ("schedules", with("AMQ_SCHEDULED_CRON", "* * * * *")),
        ("schedules", with("_AMQ_SCHED_DELIVERY", "1")),
        (
            "test_transformation_send_xml_object",
            with("transformation", "jms-object-xml"),
        ),
        (
            "test_transformation_send_json_object",
            with("transformation", "jms-object-json"),
        ),
        (
            "test_transformation_send_xml_map",
            with("transformation", "jms-map-xml"),
        ),
        (
            "test_transformation_send_json_map",
            with("transformation", "jms-map-json"),
        ),
        ("duplicate detection", with("_AMQ_DUPL_ID", "1")),
        ("retained messages", with("ActiveMQ.Retain", "true")),
        (
            "test_reply_to_destination_naming",
            with("reply-to", "/temp-queue/a"),
        ),
        (
            "test_reply_to_across_connections",
            with("reply-to", "/remote-temp-queue/a"),
        ),
        (
            "temporary destinations",
            with("JMSReplyTo", "temp-topic://a"),
        ),
        ("test_temp_destination", send("/temp-queue/a")),
        ("test_temp_destination", to("/temp-queue/a")),
        ("test_temp_destination", to("/temp-topic/a")),
        (
            "test_convert_remote_temp_queue",
            send("/remote-temp-queue/ID:1"),
        ),
        (
            "test_convert_remote_temp_topic",
            send("/remote-temp-topic/ID:1"),
        ),
        (
            "test_send_message_to_composite_queue",
            send("/queue/a,/queue/b"),
        ),
        (
            "test_send_message_to_composite_queue_no_prefixes",
            send("a,b"),
        ),
        (
            "test_send_message_to_composite_topic",
            send("/topic/a,/topic/b"),
        ),
        ("test_subscribe_to_composite_queue", to("/queue/a,/queue/b")),
        (
            "test_subscribe_to_composite_queue_trailers_default",
            to("/queue/a,b"),
        ),
        (
            "test_subscribe_to_composite_topics",
            to("/topic/a,/topic/b"),
        ),
        (
            "test_subscribe_with_wildcard_subscription",
            to("/queue/a.b.>"),
        ),
        ("wildcards", to("/topic/*.b")),
        (
            "test_subscribe_with_auto_ack_and_selector",
            on("selector", "foo = 'zzz'"),
        ),
        ("selectors", on("activemq.selector", "foo = 'zzz'")),
        ("test_queue_brower_subscription", on("browser", "true")),
        (
            "test_durable_sub_and_un_sub",
            subscribe(T, "1").with("activemq.subscriptionName", "n"),
        ),
        (
            "durable, mistyped",
            subscribe(T, "1").with("activemq.subcriptionName", "n"),
        ),
        (
            "durable, Artemis",
            subscribe(T, "1").with("durable-subscription-name", "n"),
        ),
        (
            "durable, Artemis",
            subscribe(T, "1").with("durable-subscriber-name", "n"),
        ),
        (
            "durable, RabbitMQ",
            subscribe(T, "1").with("durable", "true"),
        ),
        (
            "test_durable_sub_attempt_on_queue_fails",
            on("activemq.subscriptionName", "n"),
        ),
        (
            "test_durable_unsub",
            frame(Verb::Unsubscribe).with("activemq.subscriptionName", "n"),
        ),
        ("no local", on("activemq.noLocal", "true")),
        ("no local", on("no-local", "true")),
        ("exclusive consumers", on("activemq.exclusive", "true")),
        ("retroactive consumers", on("activemq.retroactive", "true")),
        ("consumer priority", on("activemq.priority", "1")),
        ("consumer priority", on("x-priority", "1")),
        ("windows in bytes", on("consumer-window-size", "1000")),
        (
            "test_transformation_receive_xml_map",
            on("transformation", "jms-map-xml"),
        ),
        (
            "test_transformation_receive_json_object",
            on("transformation", "jms-object-json"),
        ),
        (
            "test_stomp_on_virtual_topics",
            to("/queue/Consumer.A.VirtualTopic.FOO"),
        ),
        (
            "test_connection_advisory",
            to("/topic/ActiveMQ.Advisory.Connection"),
        ),
        (
            "test_statistics_advisory",
            send("/queue/ActiveMQ.Statistics.Broker"),
        ),
        ("schedules", send("/topic/ActiveMQ.Scheduler.Management")),
        ("RabbitMQ's exchanges", send("/exchange/amq.topic/a")),
        ("RabbitMQ's reply queues", send("/reply-queue/a")),
    ]
}

#[test]
fn what_is_not_built_says_so() {
    for version in [Version::V1_0, Version::V1_1, Version::V1_2] {
        for (test, frame) in table() {
            let mut world = World::new();
            let client = world.connect(version);
            let error = refused(&mut world, client, frame.clone());
            assert_eq!(
                error.get("code"),
                Some("not-supported"),
                "{test}: {error:?}"
            );
            assert_alive(&mut world, client);
            // Neither a message nor a subscription has come of it.
            assert_eq!(waiting(&mut world, Q), [], "{test}");
            for destination in [Q, T] {
                world.send(client, &send(destination).with_body(b"x"));
                assert_eq!(world.try_receive(client), None, "{test}");
            }
        }
    }
}

/// The same names with values that ask for nothing are let through, as clients send them by default.
#[test]
fn defaults_spelled_out_ask_for_nothing() {
    let mut world = World::new();
    let client = world.connect(Version::V1_2);
    let mut plain = subscribe(Q, "1");
    for (name, value) in [
        ("selector", ""),
        ("browser", "false"),
        ("durable", "false"),
        ("activemq.noLocal", "false"),
        ("activemq.exclusive", "false"),
        ("activemq.retroactive", "false"),
        ("activemq.priority", "0"),
        ("activemq.dispatchAsync", "true"),
        ("transformation", "unheard-of"),
    ] {
        plain = plain.with(name, value);
    }
    assert_eq!(crate::say::granted(&mut world, client, plain), []);
    let sent = send(Q).with("ActiveMQ.Retain", "false");
    world.send(
        client,
        &sent.with("transformation", "jms-byte").with_body(b"x"),
    );
    assert_eq!(crate::say::bodies(&mut world, client), ["x"]);
}

/// A name that looks like that of a durable subscription must not quietly give one that is not.
#[test]
fn mistyped_durable_names_are_refused() {
    let mut world = World::new();
    let client = world.connect(Version::V1_2);
    for name in [
        "activemq.subscriberName",
        "activemq.durableName",
        "activemq.SubName",
    ] {
        let error = refused(&mut world, client, subscribe(T, "1").with(name, "n"));
        assert_eq!(error.get("code"), Some("invalid-header"));
        let expected = format!("The header {name} is 'n'");
        assert!(
            error.get("message").unwrap().starts_with(&expected),
            "{error:?}"
        );
    }
    assert_alive(&mut world, client);
}
