"""stomp.py through a kill -9: `send N` puts numbered messages and prints each number that had its
receipt; `receive` prints the bodies that are there."""

import os
import queue
import sys

import stomp

from stomp_test import connect

NAME = "/queue/py.survive"


def send(count):
    connection, inbox = connect()
    for number in range(count):
        connection.send(NAME, str(number), persistent="true", receipt=str(number))
        inbox.receipt(str(number))
        print(number, flush=True)


def receive():
    connection, inbox = connect()
    connection.send(NAME, "end", persistent="true")
    connection.subscribe(NAME, id="1", ack="client-individual")
    while True:
        frame = inbox.message()
        connection.ack(frame.headers["ack"])
        if frame.body == "end":
            break
        print(frame.body, flush=True)
    connection.disconnect(receipt="bye")
    inbox.receipt("bye")


if __name__ == "__main__":
    try:
        send(int(sys.argv[2])) if sys.argv[1] == "send" else receive()
    except (queue.Empty, stomp.exception.StompException, OSError, AssertionError):
        os._exit(1)
    os._exit(0)
