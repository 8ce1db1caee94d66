// go-stomp against the broker at TIDEGATE_STOMP_PORT. Ends with 0 if everything was as it should be.
package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/go-stomp/stomp/v3"
)

const patience = 30 * time.Second

func check(err error, what string) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", what, err)
		os.Exit(1)
	}
}

func expect(good bool, what string, found any) {
	if !good {
		check(fmt.Errorf("found %v", found), what)
	}
}

func connect(options ...func(*stomp.Conn) error) *stomp.Conn {
	address := "127.0.0.1:" + os.Getenv("TIDEGATE_STOMP_PORT")
	connection, err := stomp.Dial("tcp", address, options...)
	check(err, "connect")
	return connection
}

func next(subscription *stomp.Subscription) *stomp.Message {
	select {
	case message, open := <-subscription.C:
		if !open {
			check(fmt.Errorf("the subscription has ended"), "receive")
		}
		check(message.Err, "receive")
		return message
	case <-time.After(patience):
		check(fmt.Errorf("no message came"), "receive")
	}
	return nil
}

func persistentMessages(version stomp.Version) {
	connection := connect(stomp.ConnOpt.AcceptVersion(version))
	name := "/queue/go." + version.String()
	for number := 0; number < 10; number++ {
		check(connection.Send(name, "text/plain", []byte(strconv.Itoa(number)),
			stomp.SendOpt.Receipt, stomp.SendOpt.Header("persistent", "true")), "send")
	}
	subscription, err := connection.Subscribe(name, stomp.AckClientIndividual)
	check(err, "subscribe")
	for number := 0; number < 10; number++ {
		message := next(subscription)
		expect(string(message.Body) == strconv.Itoa(number), "order", string(message.Body))
		check(connection.Ack(message), "ack")
	}
	check(subscription.Unsubscribe(), "unsubscribe")
	check(connection.Disconnect(), "disconnect")
}

func binaryBodiesAndHeaders() {
	connection := connect()
	subscription, err := connection.Subscribe("/queue/go.binary", stomp.AckAuto)
	check(err, "subscribe")
	body := make([]byte, 300)
	for index := range body {
		body[index] = byte(index)
	}
	check(connection.Send("/queue/go.binary", "application/octet-stream", body,
		stomp.SendOpt.Header("odd", "a:b\\c\nd")), "send")
	message := next(subscription)
	expect(bytes.Equal(message.Body, body), "body", message.Body)
	expect(message.Header.Get("odd") == "a:b\\c\nd", "header", message.Header.Get("odd"))
	check(connection.Disconnect(), "disconnect")
}

func refused() {
	connection := connect()
	subscription, err := connection.Subscribe("/queue/go.nack", stomp.AckClientIndividual)
	check(err, "subscribe")
	check(connection.Send("/queue/go.nack", "text/plain", []byte("poison")), "send")
	for delivery := 0; delivery < 7; delivery++ {
		message := next(subscription)
		again := message.Header.Get("redelivered") == "true"
		expect(again == (delivery > 0), "redelivered", message.Header)
		check(connection.Nack(message), "nack")
	}
	dead, err := connection.Subscribe("/queue/ActiveMQ.DLQ", stomp.AckAuto)
	check(err, "subscribe")
	origin := next(dead).Header.Get("original-destination")
	expect(origin == "/queue/go.nack", "origin", origin)
	check(connection.Disconnect(), "disconnect")
}

func transactions() {
	connection := connect()
	subscription, err := connection.Subscribe("/queue/go.tx", stomp.AckAuto)
	check(err, "subscribe")
	dropped := connection.Begin()
	check(dropped.Send("/queue/go.tx", "text/plain", []byte("dropped")), "send")
	check(dropped.Abort(), "abort")
	kept := connection.Begin()
	check(kept.Send("/queue/go.tx", "text/plain", []byte("kept")), "send")
	check(kept.Commit(), "commit")
	expect(string(next(subscription).Body) == "kept", "transaction", "another message")
	check(connection.Disconnect(), "disconnect")
}

func topics() {
	first, second := connect(), connect()
	one, err := first.Subscribe("/topic/go.news", stomp.AckAuto)
	check(err, "subscribe")
	two, err := second.Subscribe("/topic/go.news", stomp.AckAuto)
	check(err, "subscribe")
	// A receipt of what comes behind SUBSCRIBE says that both are there.
	check(first.Send("/queue/go.sync", "text/plain", nil, stomp.SendOpt.Receipt), "send")
	check(second.Send("/queue/go.sync", "text/plain", nil, stomp.SendOpt.Receipt), "send")
	check(first.Send("/topic/go.news", "text/plain", []byte("news")), "send")
	for _, subscription := range []*stomp.Subscription{one, two} {
		expect(string(next(subscription).Body) == "news", "topic", "another message")
	}
	check(first.Disconnect(), "disconnect")
	check(second.Disconnect(), "disconnect")
}

func heartBeats() {
	connection := connect(stomp.ConnOpt.HeartBeat(time.Second, time.Second))
	time.Sleep(3500 * time.Millisecond)
	check(connection.Send("/queue/go.beat", "text/plain", []byte("x"), stomp.SendOpt.Receipt), "send after heart-beats")
	check(connection.Disconnect(), "disconnect")
}

func main() {
	for _, version := range []stomp.Version{stomp.V10, stomp.V11, stomp.V12} {
		persistentMessages(version)
	}
	binaryBodiesAndHeaders()
	refused()
	transactions()
	topics()
	heartBeats()
}
