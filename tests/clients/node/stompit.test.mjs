// stompit against the broker at TIDEGATE_STOMP_PORT.
import assert from 'node:assert/strict';
import { promisify } from 'node:util';
import stompit from 'stompit';

const port = Number(process.env.TIDEGATE_STOMP_PORT);
const connect = () => promisify(stompit.connect)({
  host: '127.0.0.1', port, connectHeaders: { host: '/', 'heart-beat': '1000,1000' },
});

function send(client, headers, body) {
  return new Promise((resolve, reject) => {
    const frame = client.send(headers, { onReceipt: resolve, onError: reject });
    frame.end(body);
  });
}

function receive(client, destination, ack) {
  const inbox = { frames: [], waiting: [] };
  inbox.subscription = client.subscribe({ destination, ack }, (error, message) => {
    if (error) throw error;
    message.readString('utf-8', (failed, body) => {
      if (failed) throw failed;
      const next = inbox.waiting.shift();
      next ? next({ message, body }) : inbox.frames.push({ message, body });
    });
  });
  inbox.next = () => (inbox.frames.length
    ? Promise.resolve(inbox.frames.shift())
    : new Promise((resolve) => inbox.waiting.push(resolve)));
  return inbox;
}

setTimeout(() => { console.error('too slow'); process.exit(1); }, 60000).unref();

console.log('persistent messages, acknowledged and refused');
let client = await connect();
for (let n = 0; n < 5; n += 1) {
  await send(client, { destination: '/queue/stompit.a', persistent: 'true' }, `body ${n}`);
}
const inbox = receive(client, '/queue/stompit.a', 'client-individual');
for (let n = 0; n < 5; n += 1) {
  const { message, body } = await inbox.next();
  assert.equal(body, `body ${n}`);
  n === 4 ? client.nack(message) : client.ack(message);
}
const again = await inbox.next();
assert.equal(again.message.headers.redelivered, 'true');
client.ack(again.message);

console.log('transactions');
const transaction = client.begin();
const frame = transaction.send({ destination: '/queue/stompit.a' });
frame.end('in a transaction');
transaction.commit();
assert.equal((await inbox.next()).body, 'in a transaction');

console.log('a goodbye is answered');
await promisify(client.disconnect.bind(client))();
process.exit(0);
