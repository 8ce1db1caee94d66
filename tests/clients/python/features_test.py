"""What applications built on ActiveMQ rely on, by stomp.py, against the broker at TIDEGATE_STOMP_PORT."""

import os
import sys
import time

import stomp
from stomp_test import connect, leave


def subscribe(connection, inbox, destination, **headers):
    """Subscribes and waits until the broker says so."""
    ack = headers.pop("ack", "auto")
    name = headers.pop("id", "1")
    connection.subscribe(destination, id=name, ack=ack, headers=headers, receipt=f"sub-{name}")
    inbox.receipt(f"sub-{name}")


def settle(connection, inbox, frame):
    connection.ack(frame.headers["ack"], receipt="settled")
    inbox.receipt("settled")


def a_group_stays_with_one_consumer_in_order():
    pairs = [connect() for _ in range(2)]
    for connection, inbox in pairs:
        subscribe(connection, inbox, "/queue/py.groups", ack="client-individual", **{"activemq.prefetchSize": "1"})
    sender, _ = connect()
    for number in range(12):
        sender.send("/queue/py.groups", str(number), headers={"JMSXGroupID": f"g{number % 2}"}, persistent="true")
    seen = {}
    for _ in range(6):
        for place, (connection, inbox) in enumerate(pairs):
            frame = inbox.message()
            seen.setdefault(frame.headers["JMSXGroupID"], []).append((place, int(frame.body)))
            settle(connection, inbox, frame)
    assert len(seen) == 2, seen
    for deliveries in seen.values():
        assert len({place for place, _ in deliveries}) == 1, f"one consumer each: {seen}"
        numbers = [number for _, number in deliveries]
        assert numbers == sorted(numbers), numbers
    for connection, inbox in pairs:
        leave(connection, inbox)
    sender.disconnect()


def every_application_has_all_messages_of_a_virtual_topic():
    connection, inbox = connect()
    for application in "AB":
        subscribe(connection, inbox, f"/queue/Consumer.{application}.VirtualTopic.py", id=application)
        connection.unsubscribe(application)
    for number in range(3):
        connection.send("/topic/VirtualTopic.py", str(number), persistent="true", receipt=f"v{number}")
        inbox.receipt(f"v{number}")
    for application in "AB":
        subscribe(connection, inbox, f"/queue/Consumer.{application}.VirtualTopic.py", id=application)
        for number in range(3):
            frame = inbox.message()
            assert (frame.body, frame.headers["subscription"]) == (str(number), application), frame
            assert frame.headers["original-destination"] == "/topic/VirtualTopic.py"
    leave(connection, inbox)


def a_wildcard_is_one_subscription_over_many_queues():
    connection, inbox = connect()
    subscribe(connection, inbox, "/queue/py.wild.>", ack="client")
    for name in ("py.wild.a", "py.wild.b.c", "py.wild"):
        connection.send(f"/queue/{name}", name, persistent="true")
    frames = [inbox.message() for _ in range(3)]
    assert [frame.headers["destination"] for frame in frames] == [
        "/queue/py.wild.a", "/queue/py.wild.b.c", "/queue/py.wild"]
    settle(connection, inbox, frames[-1])
    leave(connection, inbox)
    connection, inbox = connect()
    subscribe(connection, inbox, "/queue/py.wild,/queue/py.wild.a,/queue/py.wild.b.c")
    connection.send("/queue/py.wild.a,/queue/py.wild", "both")
    assert {inbox.message().headers["destination"] for _ in range(2)} == {"/queue/py.wild.a", "/queue/py.wild"}
    leave(connection, inbox)


def a_reply_comes_to_a_temporary_queue_in_both_styles():
    for version in (stomp.Connection10, stomp.Connection11, stomp.Connection12):
        responder, requests = connect(version)
        subscribe(responder, requests, "/queue/py.requests")
        requester, replies = connect(version)
        # As with ActiveMQ, the requester subscribes; as with RabbitMQ, it does not.
        subscribe(requester, replies, "/temp-queue/own", id="own")
        for alias, subscription in (("/temp-queue/own", "own"), ("/temp-queue/other", "/temp-queue/other")):
            requester.send("/queue/py.requests", "ask", headers={"reply-to": alias})
            request = requests.message()
            assert request.headers["reply-to"].startswith("/remote-temp-queue/ID:"), request
            responder.send(request.headers["reply-to"], "answer")
            reply = replies.message()
            assert (reply.body, reply.headers["destination"]) == ("answer", alias), reply
            assert reply.headers["subscription"] == subscription, reply
        leave(requester, replies)
        leave(responder, requests)


def a_selector_chooses_and_a_browser_only_looks():
    connection, inbox = connect()
    for number in range(4):
        connection.send("/queue/py.choose", str(number), headers={"size": str(number)}, persistent="true")
    subscribe(connection, inbox, "/queue/py.choose", id="look", browser="true")
    frames = [inbox.message() for _ in range(5)]
    assert [frame.body for frame in frames[:4]] == ["0", "1", "2", "3"]
    assert frames[4].headers["browser"] == "end", frames[4]
    subscribe(connection, inbox, "/queue/py.choose", id="some", selector="size > 1 AND size <> 3")
    assert inbox.message().body == "2"
    leave(connection, inbox)


def a_transaction_spans_queues():
    connection, inbox = connect()
    subscribe(connection, inbox, "/queue/py.in", ack="client-individual", id="in")
    subscribe(connection, inbox, "/queue/py.out1,/queue/py.out2", id="out")
    connection.send("/queue/py.in", "work", persistent="true")
    work = inbox.message()
    for commit in (False, True):
        connection.begin("t")
        connection.ack(work.headers["ack"], transaction="t")
        connection.send("/queue/py.out1", "done", persistent="true", transaction="t")
        connection.send("/queue/py.out2", "done", persistent="true", transaction="t")
        if not commit:
            connection.abort("t")
            continue
        connection.commit("t", receipt="committed")
        inbox.receipt("committed")
    assert {inbox.message().headers["destination"] for _ in range(2)} == {"/queue/py.out1", "/queue/py.out2"}
    leave(connection, inbox)


def a_durable_subscription_has_what_it_missed():
    named = {"activemq.subscriptionName": "py"}
    for read in ([], ["missed"], []):
        connection, inbox = connect(client="py-durable")
        subscribe(connection, inbox, "/topic/py.durable", **named)
        assert [inbox.message().body for _ in read] == read
        leave(connection, inbox)
        if not read:
            sender, answers = connect()
            sender.send("/topic/py.durable", "missed", persistent="true", receipt="sent")
            answers.receipt("sent")
            leave(sender, answers)
    connection, inbox = connect(client="py-durable")
    connection.unsubscribe(id="1", headers=named, receipt="forgotten")
    inbox.receipt("forgotten")
    leave(connection, inbox)


def what_is_scheduled_comes_later_and_again():
    connection, inbox = connect()
    subscribe(connection, inbox, "/queue/py.later")
    began = time.monotonic()
    connection.send("/queue/py.later", "series", headers={
        "AMQ_SCHEDULED_DELAY": "200", "AMQ_SCHEDULED_PERIOD": "100", "AMQ_SCHEDULED_REPEAT": "2"})
    connection.send("/queue/py.later", "now")
    assert inbox.message().body == "now"
    for _ in range(3):
        assert inbox.message().body == "series"
    assert time.monotonic() - began >= 0.4
    # Another one, which is cancelled.
    connection.send("/queue/py.later", "never", headers={"AMQ_SCHEDULED_DELAY": "600000"}, receipt="put")
    inbox.receipt("put")
    subscribe(connection, inbox, "/queue/py.jobs", id="jobs")
    management = "/topic/ActiveMQ.Scheduler.Management"
    connection.send(management, "", headers={"AMQ_SCHEDULER_ACTION": "BROWSE", "reply-to": "/queue/py.jobs"})
    job = inbox.message()
    assert job.headers["AMQ_SCHEDULED_DELAY"] == "600000", job
    connection.send(management, "", receipt="removed", headers={
        "AMQ_SCHEDULER_ACTION": "REMOVE", "scheduledJobId": job.headers["scheduledJobId"]})
    inbox.receipt("removed")
    leave(connection, inbox)


def what_is_sent_twice_is_taken_once():
    connection, inbox = connect()
    for _ in range(2):
        connection.send("/queue/py.once", "x", headers={"_AMQ_DUPL_ID": "1"}, persistent="true", receipt="taken")
        inbox.receipt("taken")
    connection.send("/queue/py.once", "y")
    subscribe(connection, inbox, "/queue/py.once")
    assert [inbox.message().body for _ in range(2)] == ["x", "y"]
    leave(connection, inbox)


TESTS = [
    a_group_stays_with_one_consumer_in_order,
    every_application_has_all_messages_of_a_virtual_topic,
    a_wildcard_is_one_subscription_over_many_queues,
    a_reply_comes_to_a_temporary_queue_in_both_styles,
    a_selector_chooses_and_a_browser_only_looks,
    a_transaction_spans_queues,
    a_durable_subscription_has_what_it_missed,
    what_is_scheduled_comes_later_and_again,
    what_is_sent_twice_is_taken_once,
]

if __name__ == "__main__":
    for test in TESTS:
        print(test.__name__, flush=True)
        test()
    sys.stdout.flush()
    os._exit(0)
