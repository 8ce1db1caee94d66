// @stomp/stompjs over TCP against the broker at TIDEGATE_STOMP_PORT.
import assert from 'node:assert/strict';
import { Client } from '@stomp/stompjs';
import { TCPWrapper } from '@stomp/tcp-wrapper';

const port = Number(process.env.TIDEGATE_STOMP_PORT);
const patience = 30000;

function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not come`)), patience);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

class Inbox {
  #frames = [];
  #waiting = [];
  put = (frame) => {
    const next = this.#waiting.shift();
    next ? next(frame) : this.#frames.push(frame);
  };
  next(what = 'a message') {
    if (this.#frames.length) return Promise.resolve(this.#frames.shift());
    return within(new Promise((resolve) => this.#waiting.push(resolve)), what);
  }
}

async function connect(connectHeaders = {}) {
  const client = new Client({
    webSocketFactory: () => new TCPWrapper('127.0.0.1', port),
    reconnectDelay: 0,
    connectHeaders,
    heartbeatIncoming: 1000,
    heartbeatOutgoing: 1000,
  });
  const errors = new Inbox();
  client.onStompError = errors.put;
  await within(new Promise((resolve) => {
    client.onConnect = resolve;
    client.activate();
  }), 'CONNECTED');
  return { client, errors };
}

function receipt(client, act) {
  const id = `r${Math.random()}`;
  return within(new Promise((resolve) => {
    client.watchForReceipt(id, resolve);
    act({ receipt: id });
  }), 'a receipt');
}

const tests = {
  async 'persistent messages are received and acknowledged'() {
    const { client } = await connect();
    for (let n = 0; n < 10; n += 1) {
      await receipt(client, (headers) => client.publish({
        destination: '/queue/js.a', body: `body ${n} \u00e4`, headers: { persistent: 'true', ...headers },
      }));
    }
    const inbox = new Inbox();
    client.subscribe('/queue/js.a', inbox.put, { ack: 'client' });
    let last;
    for (let n = 0; n < 10; n += 1) {
      last = await inbox.next();
      assert.equal(last.body, `body ${n} \u00e4`);
    }
    await receipt(client, (headers) => last.ack(headers));
    await client.deactivate();
  },
  async 'binary bodies with NULs survive'() {
    const { client } = await connect();
    const inbox = new Inbox();
    client.subscribe('/queue/js.binary', inbox.put);
    const bytes = Uint8Array.from({ length: 300 }, (_, n) => n % 256);
    client.publish({ destination: '/queue/js.binary', binaryBody: bytes, headers: { odd: 'a:b\\x\ny' } });
    const message = await inbox.next();
    assert.deepEqual([...message.binaryBody], [...bytes]);
    assert.equal(message.headers.odd, 'a:b\\x\ny');
    await client.deactivate();
  },
  async 'what is refused comes again'() {
    const { client } = await connect();
    const inbox = new Inbox();
    client.subscribe('/queue/js.nack', inbox.put, { ack: 'client-individual' });
    client.publish({ destination: '/queue/js.nack', body: 'x' });
    const first = await inbox.next();
    assert.equal(first.headers.redelivered, undefined);
    first.nack();
    const second = await inbox.next();
    assert.equal(second.headers.redelivered, 'true');
    await receipt(client, (headers) => second.ack(headers));
    await client.deactivate();
  },
  async 'topics reach every subscriber'() {
    const pairs = await Promise.all([connect(), connect()]);
    const inboxes = [];
    for (const { client } of pairs) {
      const inbox = new Inbox();
      inboxes.push(inbox);
      await receipt(client, (headers) => client.subscribe('/topic/js.news', inbox.put, headers));
    }
    pairs[0].client.publish({ destination: '/topic/js.news', body: 'news' });
    for (const inbox of inboxes) assert.equal((await inbox.next()).body, 'news');
    for (const { client } of pairs) await client.deactivate();
  },
  async 'transactions are whole'() {
    const { client } = await connect();
    const inbox = new Inbox();
    await receipt(client, (headers) => client.subscribe('/queue/js.tx', inbox.put, headers));
    const dropped = client.begin();
    client.publish({ destination: '/queue/js.tx', body: 'dropped', headers: { transaction: dropped.id } });
    dropped.abort();
    const kept = client.begin();
    client.publish({ destination: '/queue/js.tx', body: 'kept', headers: { transaction: kept.id } });
    kept.commit();
    assert.equal((await inbox.next()).body, 'kept');
    await client.deactivate();
  },
  async 'a group stays with one consumer, in order'() {
    const pairs = await Promise.all([connect(), connect()]);
    const inboxes = [];
    for (const { client } of pairs) {
      const inbox = new Inbox();
      inboxes.push(inbox);
      await receipt(client, (headers) => client.subscribe('/queue/js.groups', inbox.put, {
        ack: 'client-individual', 'activemq.prefetchSize': '1', ...headers,
      }));
    }
    for (let n = 0; n < 8; n += 1) {
      const headers = { JMSXGroupID: `g${n % 2}` };
      pairs[0].client.publish({ destination: '/queue/js.groups', body: String(n), headers });
    }
    const seen = {};
    for (let n = 0; n < 4; n += 1) {
      for (const [place, inbox] of inboxes.entries()) {
        const message = await inbox.next();
        (seen[message.headers.JMSXGroupID] ??= []).push([place, Number(message.body)]);
        message.ack();
      }
    }
    for (const deliveries of Object.values(seen)) {
      assert.equal(new Set(deliveries.map(([place]) => place)).size, 1);
      const numbers = deliveries.map(([, number]) => number);
      assert.deepEqual(numbers, [...numbers].sort((a, b) => a - b));
    }
    for (const { client } of pairs) await client.deactivate();
  },
  async 'virtual topics and wildcards'() {
    const { client } = await connect();
    const inbox = new Inbox();
    for (const queue of ['Consumer.A.VirtualTopic.js', 'Consumer.B.VirtualTopic.js', 'js.wild.>']) {
      await receipt(client, (headers) => client.subscribe(`/queue/${queue}`, inbox.put, headers));
    }
    client.publish({ destination: '/topic/VirtualTopic.js', body: 'x', headers: { persistent: 'true' } });
    const found = [await inbox.next(), await inbox.next()].map((message) => message.headers.destination);
    assert.deepEqual(found.sort(), ['/queue/Consumer.A.VirtualTopic.js', '/queue/Consumer.B.VirtualTopic.js']);
    client.publish({ destination: '/queue/js.wild.a.b', body: 'y' });
    assert.equal((await inbox.next()).headers.destination, '/queue/js.wild.a.b');
    await client.deactivate();
  },
  async 'a durable subscription has what it missed'() {
    for (const expected of [[], ['missed']]) {
      const { client } = await connect({ 'client-id': 'js-durable' });
      const inbox = new Inbox();
      await receipt(client, (headers) => client.subscribe('/topic/js.durable', inbox.put, {
        'activemq.subscriptionName': 'js', ...headers,
      }));
      for (const body of expected) assert.equal((await inbox.next()).body, body);
      await client.deactivate();
      if (expected.length > 0) continue;
      const { client: sender } = await connect();
      await receipt(sender, (headers) => sender.publish({
        destination: '/topic/js.durable', body: 'missed', headers: { persistent: 'true', ...headers },
      }));
      await sender.deactivate();
    }
  },
  async 'what is scheduled comes later'() {
    const { client } = await connect();
    const inbox = new Inbox();
    await receipt(client, (headers) => client.subscribe('/queue/js.later', inbox.put, headers));
    client.publish({ destination: '/queue/js.later', body: 'later', headers: { AMQ_SCHEDULED_DELAY: '200' } });
    client.publish({ destination: '/queue/js.later', body: 'now' });
    for (const body of ['now', 'later']) assert.equal((await inbox.next()).body, body);
    await client.deactivate();
  },
  async 'heart-beats keep a connection, errors are told'() {
    const { client, errors } = await connect();
    await new Promise((resolve) => setTimeout(resolve, 3500));
    assert.ok(client.connected);
    client.publish({ destination: '/queue/js.bad', body: 'x', headers: { priority: 'high' } });
    assert.equal((await errors.next('an error')).headers.code, 'invalid-header');
    await client.deactivate();
  },
};

for (const [name, test] of Object.entries(tests)) {
  console.log(name);
  await test();
}
process.exit(0);
