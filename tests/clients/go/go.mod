module tidegate.test/clients

go 1.18

require github.com/go-stomp/stomp/v3 v3.1.0
