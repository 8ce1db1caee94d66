# Ruby's stomp against the broker at TIDEGATE_STOMP_PORT. Ends with 0 if everything was as it should be.
require "stomp"
require "timeout"

PORT = ENV.fetch("TIDEGATE_STOMP_PORT").to_i

def connect(version, more = {})
  headers = { "accept-version" => version, "host" => "localhost" }.merge(more)
  headers["heart-beat"] = "1000,1000" if version != "1.0"
  hosts = [{ login: "", passcode: "", host: "127.0.0.1", port: PORT }]
  Stomp::Connection.new(hosts: hosts, connect_headers: headers, reliable: false)
end

def check(good, what)
  raise what unless good
end

# The next frame of this command.
def frame(connection, command)
  found = connection.receive
  check(found.command == command, "#{found.command} instead of #{command}: #{found.headers} #{found.body}")
  found
end

def messages(version)
  connection = connect(version)
  name = "/queue/ruby.#{version}"
  5.times do |number|
    connection.publish(name, "body #{number}", { "persistent" => "true", "receipt" => "r#{number}" })
    check(frame(connection, "RECEIPT").headers["receipt-id"] == "r#{number}", "receipt")
  end
  connection.subscribe(name, { "ack" => "client-individual", "id" => "1" }, "1")
  5.times do |number|
    message = frame(connection, "MESSAGE")
    check(message.body == "body #{number}", "order: #{message.body}")
    settle(connection, version, message)
  end
  connection.unsubscribe(name, { "id" => "1" }, "1")
  connection.disconnect({ "receipt" => "bye" })
end

def settle(connection, version, message, verb = :ack)
  case version
  when "1.2" then connection.send(verb, message.headers["ack"], { "id" => message.headers["ack"] })
  else connection.send(verb, message.headers["message-id"], { "subscription" => "1" })
  end
end

def refused(version)
  connection = connect(version)
  name = "/queue/ruby.nack.#{version}"
  connection.subscribe(name, { "ack" => "client-individual", "id" => "1" }, "1")
  connection.publish(name, "again")
  first = frame(connection, "MESSAGE")
  check(first.headers["redelivered"].nil?, "redelivered too early")
  settle(connection, version, first, :nack)
  second = frame(connection, "MESSAGE")
  check(second.headers["redelivered"] == "true", "not flagged")
  settle(connection, version, second)
  connection.disconnect({ "receipt" => "bye" })
end

def transactions
  connection = connect("1.1")
  connection.subscribe("/queue/ruby.tx", { "ack" => "auto", "id" => "1" }, "1")
  connection.begin("t")
  connection.publish("/queue/ruby.tx", "dropped", { "transaction" => "t" })
  connection.abort("t")
  connection.begin("t")
  connection.publish("/queue/ruby.tx", "kept", { "transaction" => "t", "odd" => "a:b\\x\ny" })
  connection.commit("t")
  message = frame(connection, "MESSAGE")
  check(message.body == "kept", "transaction: #{message.body}")
  odd = message.headers["odd"]
  odd = odd.first if odd.is_a?(Array)
  check(odd == "a:b\\x\ny", "header: #{odd.inspect}")
  connection.disconnect({ "receipt" => "bye" })
end

def topics
  pair = Array.new(2) { connect("1.1") }
  pair.each do |connection|
    connection.subscribe("/topic/ruby.news", { "id" => "1", "receipt" => "here" }, "1")
    frame(connection, "RECEIPT")
  end
  pair[0].publish("/topic/ruby.news", "news")
  pair.each do |connection|
    check(frame(connection, "MESSAGE").body == "news", "topic")
    connection.disconnect({ "receipt" => "bye" })
  end
end

# Two consumers, two groups: each group stays with one of them, in order.
def groups
  pair = Array.new(2) { connect("1.2") }
  pair.each do |connection|
    headers = { "id" => "1", "ack" => "client-individual", "activemq.prefetchSize" => "1", "receipt" => "here" }
    connection.subscribe("/queue/ruby.groups", headers, "1")
    frame(connection, "RECEIPT")
  end
  8.times { |number| pair[0].publish("/queue/ruby.groups", number.to_s, { "JMSXGroupID" => "g#{number % 2}" }) }
  seen = Hash.new { |all, group| all[group] = [] }
  4.times do
    pair.each_with_index do |connection, place|
      message = frame(connection, "MESSAGE")
      seen[message.headers["JMSXGroupID"]] << [place, message.body.to_i]
      settle(connection, "1.2", message)
    end
  end
  seen.each_value do |deliveries|
    check(deliveries.map(&:first).uniq.size == 1, "one consumer for a group: #{seen}")
    check(deliveries.map(&:last) == deliveries.map(&:last).sort, "order of a group: #{seen}")
  end
  pair.each { |connection| connection.disconnect({ "receipt" => "bye" }) }
end

def virtual_topics
  connection = connect("1.1")
  %w[A B].each do |name|
    connection.subscribe("/queue/Consumer.#{name}.VirtualTopic.ruby", { "id" => name, "receipt" => "here" }, name)
    frame(connection, "RECEIPT")
  end
  connection.publish("/topic/VirtualTopic.ruby", "all", { "persistent" => "true" })
  found = Array.new(2) { frame(connection, "MESSAGE").headers["subscription"] }
  check(found.sort == %w[A B], "virtual topic: #{found}")
  connection.disconnect({ "receipt" => "bye" })
end

def wildcards
  connection = connect("1.2")
  connection.subscribe("/topic/ruby.prices.>", { "id" => "1", "receipt" => "here" }, "1")
  frame(connection, "RECEIPT")
  connection.publish("/topic/ruby.prices.oil.eu", "1")
  message = frame(connection, "MESSAGE")
  check(message.headers["destination"] == "/topic/ruby.prices.oil.eu", "wildcard: #{message.headers}")
  connection.disconnect({ "receipt" => "bye" })
end

def durable
  named = { "id" => "1", "activemq.subscriptionName" => "ruby", "receipt" => "here" }
  [[], ["missed"]].each do |expected|
    connection = connect("1.1", "client-id" => "ruby-durable")
    connection.subscribe("/topic/ruby.durable", named, "1")
    found = Array.new(expected.size + 1) { connection.receive }
    check(found.map(&:command).include?("RECEIPT"), "durable: #{found}")
    bodies = found.select { |one| one.command == "MESSAGE" }.map(&:body)
    check(bodies == expected, "durable: #{bodies}")
    connection.disconnect({ "receipt" => "bye" })
    next unless expected.empty?
    sender = connect("1.1")
    sender.publish("/topic/ruby.durable", "missed", { "persistent" => "true" })
    sender.disconnect({ "receipt" => "bye" })
  end
end

def scheduled
  connection = connect("1.2")
  connection.subscribe("/queue/ruby.later", { "id" => "1", "receipt" => "here" }, "1")
  frame(connection, "RECEIPT")
  connection.publish("/queue/ruby.later", "later", { "AMQ_SCHEDULED_DELAY" => "200" })
  connection.publish("/queue/ruby.later", "now")
  found = Array.new(2) { frame(connection, "MESSAGE").body }
  check(found == %w[now later], "scheduled: #{found}")
  connection.disconnect({ "receipt" => "bye" })
end

Timeout.timeout(60) do
  %w[1.0 1.1 1.2].each { |version| messages(version) }
  %w[1.1 1.2].each { |version| refused(version) }
  transactions
  topics
  groups
  virtual_topics
  wildcards
  durable
  scheduled
end
