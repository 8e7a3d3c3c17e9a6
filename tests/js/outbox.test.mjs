import assert from 'node:assert/strict';
import {test} from 'node:test';

import {Outbox, isRefusal, memoryStore, takeKey} from '../../src/voxtune/studio/static/outbox.js';

/** A place in memory that counts as the browser's disk. */
const disk = () => Object.assign(memoryStore(), {durable: true});
const item = (key, phrase = 'one') => ({key, phrase, wav: new ArrayBuffer(4), device: '{}'});

/** An outbox whose server answers in turn with the given statuses (or takes each for ever as `of` says), then with 200. */
function outbox({statuses = [], of = {}, store = disk(), room = ''} = {}) {
  const sent = [];
  const told = [];
  const send = async ({key}) => {
    sent.push(key);
    const status = of[key] ?? statuses.shift() ?? 200;
    if (status === 'dead') throw new TypeError('no answer');
    return typeof status === 'number' ? {status, body: {error: 'why not'}} : status;
  };
  const tell = (what) => (each, answer) => told.push([what, each.key, ...(what === 'waiting' ? [answer.status] : [])]);
  const made = new Outbox(store, send, {saved: tell('saved'), refused: tell('refused'), waiting: tell('waiting')}, () => room);
  return {made, sent, told, store};
}

async function until(condition) {
  for (let i = 0; i < 500 && !condition(); i++) await new Promise((done) => setTimeout(done, 10));
  assert.ok(condition());
}

test('takes are sent in the order they were recorded', async () => {
  const {made, sent, store} = outbox();
  for (const key of ['c', 'a', 'b']) await made.add(item(key));
  await made.flush();
  assert.deepEqual(sent, ['a', 'b', 'c']);
  assert.deepEqual(await store.all(), []);
  assert.equal(made.items.size, 0);
});

test('a take stays until the server has it, through silence, errors and refusals that may pass', async () => {
  const {made, sent, told, store} = outbox({statuses: ['dead', 503]});
  await made.add(item('a'));
  await made.flush();
  assert.equal((await store.all()).length, 1);
  assert.equal(made.items.get('a').kept, true);
  await until(() => made.items.size === 0);
  assert.deepEqual(sent, ['a', 'a', 'a']);
  assert.deepEqual(told, [['waiting', 'a', 0], ['waiting', 'a', 503], ['saved', 'a']]);
});

for (const status of [413, 415]) {
  test(`a take that the studio refuses for good (${status}) is kept until a person gives it up, and not sent again by this page`, async () => {
    const {made, sent, told, store} = outbox({of: {a: status}});
    await made.add(item('a'));
    await made.add(item('b', 'two'));
    await made.flush();
    await made.flush();
    assert.deepEqual(told, [['refused', 'a'], ['saved', 'b']]);
    assert.deepEqual(sent, ['a', 'b']);
    assert.deepEqual([made.of('one').refused, made.of('one').kept], [true, true]);
    await made.load();
    assert.equal(made.of('one').refused, true);
    assert.deepEqual((await store.all()).map((each) => each.key), ['a']);
    await made.drop('a');
    assert.deepEqual(await store.all(), []);
  });

  test(`a ${status} that is not the studio's own is no answer: the take is sent again, and holds up no other`, async () => {
    const {made, told} = outbox({statuses: [{status, body: null}]});
    await made.add(item('a'));
    await made.add(item('b', 'two'));
    await made.flush();
    assert.deepEqual(told, [['waiting', 'a', 0], ['saved', 'b']]);
    await until(() => made.items.size === 0);
    assert.ok(!isRefusal({status, body: {error: {code: status}}}));
  });
}

test('a take that the server fails on each time holds up no other, and is tried again later', async () => {
  const {made, sent, told} = outbox({of: {a: 500}});
  await made.add(item('a'));
  await made.add(item('b', 'two'));
  await made.flush();
  assert.deepEqual(told, [['waiting', 'a', 500], ['saved', 'b']]);
  await until(() => sent.filter((key) => key === 'a').length > 1);
  await made.drop('a');
});

test('a take that is added while another fails is sent without waiting', async () => {
  const {made, sent} = outbox({of: {a: 500}});
  await made.add(item('a'));
  const flushed = made.flush();
  await made.add(item('b', 'two'));
  await made.flush();
  await flushed;
  assert.ok(sent.includes('b'));
  assert.deepEqual([...made.items.keys()], ['a']);
  await made.drop('a');
});

for (const status of ['dead', 401, 403, 429, 502, 503, 504, 507]) {
  test(`what is no fault of one take (${status}) is asked once a round`, async () => {
    const {made, sent} = outbox({statuses: [status]});
    await made.add(item('a'));
    await made.add(item('b', 'two'));
    await made.flush();
    assert.deepEqual(sent, ['a']);
    await until(() => made.items.size === 0);
  });
}

test('takes of another workspace are neither listed nor sent nor given up, but counted', async () => {
  const store = disk();
  for (const each of [item('a'), {...item('b', 'two'), room: 'here'}, {...item('c', 'three'), room: 'there'}]) await store.put(each);
  const {made, sent} = outbox({store, room: 'here'});
  await made.load();
  assert.deepEqual([...made.items.keys()], ['a', 'b']); // one of before there were rooms is anyone's
  assert.equal(made.of('three'), undefined);
  assert.equal(made.elsewhere, 1);
  await made.flush();
  assert.deepEqual(sent, ['a', 'b']);
  assert.deepEqual((await store.all()).map((each) => each.key), ['c']);
});

test('a take belongs to the workspace that it was recorded in, though the page comes to show another', async () => {
  const store = disk();
  const sent = [];
  let room = 'first';
  const quiet = {saved() {}, refused() {}, waiting() {}};
  const made = new Outbox(store, async ({key}) => (sent.push(key), {status: 200, body: {}}), quiet, () => room);
  await made.add(item('a'));
  assert.equal((await store.all())[0].room, 'first');
  room = 'second';
  await made.flush();
  assert.deepEqual(sent, []);
  await made.load();
  assert.deepEqual([made.items.size, made.elsewhere], [0, 1]);
  room = 'first';
  await made.load();
  await made.flush();
  assert.deepEqual(sent, ['a']);
});

test('an unsent take that is older than the saved one is not the one that counts', async () => {
  const {made} = outbox();
  await made.add(item('b'));
  assert.equal(made.of('one', 'a').key, 'b');
  assert.equal(made.of('one', 'c'), undefined);
});

test('a phrase that the server does not know holds up no other', async () => {
  const {made, told} = outbox({statuses: [404]});
  await made.add(item('a'));
  await made.add(item('b'));
  await made.flush();
  assert.deepEqual(told, [['waiting', 'a', 404], ['saved', 'b']]);
  await until(() => made.items.size === 0);
});

test('what is on the disk is found by the next page', async () => {
  const store = disk();
  await outbox({store}).made.add(item('a'));
  const {made} = outbox({store});
  await made.load();
  assert.equal(made.of('one').key, 'a');
});

test('what another tab has sent is forgotten, and what is in memory alone is not', async () => {
  const {made, store} = outbox();
  await made.add(item('a'));
  await store.delete('a');
  store.put = async () => Promise.reject(new Error('full'));
  await made.add(item('b', 'two'));
  await made.load();
  assert.deepEqual([...made.items.keys()], ['b']);
});

test('a page knows whether closing it would lose something', async () => {
  const {made, store} = outbox();
  await made.add(item('a'));
  assert.equal(made.safe, true);
  store.put = async () => Promise.reject(new Error('full'));
  await made.add(item('b'));
  assert.equal(made.safe, false);
  await made.flush();
  assert.equal(made.safe, true);
  const {made: inMemory} = outbox({store: memoryStore()});
  await inMemory.add(item('a'));
  assert.equal(inMemory.safe, false);
});

test('a take added while another is on its way is sent too', async () => {
  const {made, told} = outbox();
  await made.add(item('a'));
  const flushed = made.flush();
  await made.add(item('b'));
  await made.flush();
  await flushed;
  assert.deepEqual(told, [['saved', 'a'], ['saved', 'b']]);
});

test('the newest unsent take of a phrase is the one that counts', async () => {
  const {made} = outbox();
  for (const key of ['b', 'c', 'a']) await made.add(item(key));
  assert.equal(made.of('one').key, 'c');
  assert.equal(made.of('other'), undefined);
});

test('keys have the form that the server knows, and sort by time', () => {
  assert.match(takeKey(), /^[0-9a-z]{9}[0-9a-f]{32}$/);
  assert.ok(takeKey() > '0000000000');
});

test('a key is greater than the one before it, though the clock was set back', () => {
  const ahead = `${(Date.now() + 86_400_000).toString(36).padStart(9, '0')}${'f'.repeat(32)}`;
  assert.ok(takeKey(ahead) > ahead);
});
