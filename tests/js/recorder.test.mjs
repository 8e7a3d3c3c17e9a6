import assert from 'node:assert/strict';
import {test} from 'node:test';

import {levelWord} from '../../src/voxtune/studio/static/meter.js';
import {shortened} from '../../src/voxtune/studio/static/microphone.js';
import {keyName} from '../../src/voxtune/studio/static/recorder-keys.js';
import {Reading, isGood} from '../../src/voxtune/studio/static/recorder-reading.js';

const take = (problems = [], accepted = false) => ({take: 'k', seconds: 1, problems, accepted, takes: 1});
const row = (phrase, its = null) => ({phrase, text: phrase, source: 'pack', take: its});
const list = (rows, more = {}) => ({language: 'en', name: 'English', dir: 'ltr', source: 'pack', notice: '', attribution: '', can_add: true, rows, ...more});
const isDone = (each) => Boolean(each.take);

function reading(rows) {
  const made = new Reading();
  made.apply(list(rows), isDone);
  return made;
}

test('reading begins at the first sentence that is to do', () => {
  assert.equal(reading([row('a', take()), row('b'), row('c')]).current.phrase, 'b');
  assert.equal(reading([row('a', take()), row('b', take())]).current.phrase, 'a');
  assert.equal(reading([]).current, undefined);
});

test('a new answer keeps the sentence that is being read, wherever it stands now', () => {
  const made = reading([row('a'), row('b'), row('c')]);
  made.index = 1;
  made.apply(list([row('x'), row('a'), row('b')]), isDone);
  assert.equal(made.current.phrase, 'b');
});

test('a sentence that was replaced leaves its place to the new one; another language begins anew', () => {
  const made = reading([row('a'), row('b'), row('c')]);
  made.index = 1;
  made.apply(list([row('a'), row('new'), row('c')]), isDone);
  assert.equal(made.current.phrase, 'new');
  made.apply(list([row('eins', take()), row('zwei')], {language: 'de'}), isDone);
  assert.equal(made.current.phrase, 'zwei');
});

test('the next to do is looked for to the end and then from the top', () => {
  const made = reading([row('a'), row('b', take()), row('c', take())]);
  assert.equal(made.nextToDo(1, isDone), 0);
  assert.equal(reading([row('a', take())]).nextToDo(0, isDone), -1);
});

test('a row of another list changes nothing', () => {
  const made = reading([row('a')]);
  assert.equal(made.replace(row('z', take())), false);
  assert.equal(made.replace(row('a', take())), true);
  assert.ok(made.rows[0].take);
});

test('good is what has no problem, or what a person wants to keep', () => {
  assert.deepEqual([isGood(null), isGood(take()), isGood(take(['quiet'])), isGood(take(['quiet'], true))], [false, true, false, true]);
});

test('a key is named by its letter, and by its place on keyboards of other scripts', () => {
  assert.equal(keyName({key: 'p', code: 'KeyR'}), 'P'); // Dvorak
  assert.equal(keyName({key: 'з', code: 'KeyP'}), 'P'); // Ukrainian
  assert.equal(keyName({key: 'ح', code: 'KeyP'}), 'P'); // Arabic
  assert.equal(keyName({key: ' ', code: 'Space'}), 'Space');
  assert.equal(keyName({key: 'ArrowUp', code: 'ArrowUp'}), 'ArrowUp');
  assert.equal(keyName({key: '?', code: 'Slash'}), '?');
});

test('a level is judged only while somebody speaks', () => {
  assert.deepEqual([-50, -30, -15, -2].map(levelWord), ['none', 'quiet', 'good', 'loud']);
});

test('a microphone with a long name is not cut within a letter', () => {
  assert.equal(shortened('USB'), 'USB');
  assert.equal(shortened('a'.repeat(79) + '🎤🎤'), 'a'.repeat(79) + '🎤');
});
