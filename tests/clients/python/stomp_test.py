"""stomp.py against the broker at TIDEGATE_STOMP_PORT. Ends with 0 if everything was as it should be."""

import os
import queue
import sys
import threading

import stomp

PORT = int(os.environ["TIDEGATE_STOMP_PORT"])
PATIENCE = 30


class Inbox(stomp.ConnectionListener):
    """Everything that the broker says, to be waited for."""

    def __init__(self):
        self.messages = queue.Queue()
        self.receipts = queue.Queue()
        self.errors = queue.Queue()
        self.gone = threading.Event()

    def on_message(self, frame):
        self.messages.put(frame)

    def on_receipt(self, frame):
        self.receipts.put(frame.headers["receipt-id"])

    def on_error(self, frame):
        self.errors.put(frame)

    def on_disconnected(self):
        self.gone.set()

    def message(self):
        return self.messages.get(timeout=PATIENCE)

    def receipt(self, expected):
        found = self.receipts.get(timeout=PATIENCE)
        assert found == expected, f"receipt {found}, expected {expected}"


def connect(kind=stomp.Connection12, **options):
    client = options.pop("client", None)
    connection = kind([("127.0.0.1", PORT)], auto_content_length=options.pop("length", True), **options)
    inbox = Inbox()
    connection.set_listener("inbox", inbox)
    connection.connect(wait=True, headers={"client-id": client} if client else {})
    return connection, inbox


def leave(connection, inbox):
    connection.disconnect(receipt="bye")
    inbox.receipt("bye")
    assert inbox.gone.wait(PATIENCE), "the connection is still there"


def persistent_messages_are_received():
    for kind in (stomp.Connection10, stomp.Connection11, stomp.Connection12):
        connection, inbox = connect(kind)
        name = f"/queue/py.{kind.__name__}"
        for number in range(20):
            connection.send(name, f"body {number} \u00e4\U0001f600", persistent="true", receipt=f"r{number}")
            inbox.receipt(f"r{number}")
        connection.subscribe(name, id="1", ack="auto")
        for number in range(20):
            frame = inbox.message()
            assert frame.body == f"body {number} \u00e4\U0001f600", frame.body
            assert frame.headers["persistent"] == "true"
        leave(connection, inbox)


def headers_survive_escaping():
    connection, inbox = connect()
    connection.subscribe("/queue/py.escape", id="1", ack="auto")
    value = "a:b\\c\nd"
    connection.send("/queue/py.escape", "x", headers={"odd": value})
    assert inbox.message().headers["odd"] == value
    leave(connection, inbox)


def acknowledgements_work_in_every_mode():
    for kind in (stomp.Connection11, stomp.Connection12):
        for mode in ("client", "client-individual"):
            name = f"/queue/py.{kind.__name__}.{mode}"
            connection, inbox = connect(kind)
            for number in range(4):
                connection.send(name, str(number), persistent="true")
            connection.subscribe(name, id="1", ack=mode)
            frames = [inbox.message() for _ in range(4)]
            last = frames[2]
            if kind is stomp.Connection12:
                connection.ack(last.headers["ack"], receipt="acked")
            else:
                connection.ack(last.headers["message-id"], "1", receipt="acked")
            inbox.receipt("acked")
            leave(connection, inbox)
            connection, inbox = connect(kind)
            connection.subscribe(name, id="1", ack="auto")
            left = ["3"] if mode == "client" else ["0", "1", "3"]
            for expected in left:
                frame = inbox.message()
                assert (frame.body, frame.headers.get("redelivered")) == (expected, "true"), frame
            leave(connection, inbox)


def what_is_refused_is_dead_after_six_redeliveries():
    connection, inbox = connect()
    connection.send("/queue/py.poison", "poison", persistent="true")
    connection.subscribe("/queue/py.poison", id="1", ack="client-individual")
    for delivery in range(7):
        frame = inbox.message()
        assert (delivery > 0) == (frame.headers.get("redelivered") == "true"), frame.headers
        assert frame.headers.get("JMSXDeliveryCount") == (str(delivery + 1) if delivery else None)
        connection.nack(frame.headers["ack"])
    connection.subscribe("/queue/ActiveMQ.DLQ", id="2", ack="auto")
    frame = inbox.message()
    assert frame.headers["original-destination"] == "/queue/py.poison", frame.headers
    assert frame.body == "poison"
    leave(connection, inbox)


def topics_reach_every_subscriber():
    pairs = [connect() for _ in range(2)]
    for connection, inbox in pairs:
        connection.subscribe("/topic/py.news", id="1", ack="auto", receipt="here")
        inbox.receipt("here")
    pairs[0][0].send("/topic/py.news", "news")
    for connection, inbox in pairs:
        assert inbox.message().body == "news"
        leave(connection, inbox)


def transactions_are_whole():
    connection, inbox = connect()
    connection.subscribe("/queue/py.tx", id="1", ack="client-individual", receipt="here")
    inbox.receipt("here")
    connection.begin("t")
    connection.send("/queue/py.tx", "dropped", transaction="t")
    connection.abort("t")
    connection.begin("t")
    connection.send("/queue/py.tx", "kept", persistent="true", transaction="t")
    connection.commit("t", receipt="committed")
    inbox.receipt("committed")
    frame = inbox.message()
    assert frame.body == "kept", frame.body
    connection.begin("u")
    connection.ack(frame.headers["ack"], transaction="u")
    connection.abort("u")
    connection.ack(frame.headers["ack"], receipt="acked")
    inbox.receipt("acked")
    leave(connection, inbox)


def heart_beats_keep_a_connection():
    connection, inbox = connect(heartbeats=(1000, 1000))
    assert not inbox.gone.wait(4.5), "the connection was dropped"
    connection.send("/queue/py.beat", "x", receipt="r")
    inbox.receipt("r")
    leave(connection, inbox)


def an_error_is_told():
    connection, inbox = connect()
    connection.send("/queue/py.bad", "x", headers={"priority": "high"}, receipt="r")
    frame = inbox.errors.get(timeout=PATIENCE)
    assert frame.headers["code"] == "invalid-header", frame.headers
    assert frame.headers["receipt-id"] == "r"
    connection.disconnect()


TESTS = [
    persistent_messages_are_received,
    headers_survive_escaping,
    acknowledgements_work_in_every_mode,
    what_is_refused_is_dead_after_six_redeliveries,
    topics_reach_every_subscriber,
    transactions_are_whole,
    heart_beats_keep_a_connection,
    an_error_is_told,
]

if __name__ == "__main__":
    for test in TESTS:
        print(test.__name__, flush=True)
        test()
    # Threads of connections that were closed with an error must not keep the process.
    sys.stdout.flush()
    os._exit(0)
