import assert from 'node:assert/strict';
import {test} from 'node:test';

import {LIMIT_S, POST_ROLL_S, PRE_ROLL_S, Tape} from '../../src/voxtune/studio/static/tape.js';

const RATE_HZ = 48_000;
const CHUNK = 1_024;

/** A microphone that counts: each sample is its own number, so a take says exactly where it began and ended. */
function counting(tape) {
  let next = 0;
  return {
    hear(samples) {
      let take = null;
      for (let left = samples; left > 0 && !take; left -= CHUNK) {
        const chunk = Float32Array.from({length: Math.min(CHUNK, left)}, () => next++);
        take = tape.feed(chunk);
      }
      return take;
    },
    get heard() {
      return next;
    },
  };
}

const flat = (take) => take.chunks.flatMap((chunk) => [...chunk]);

test('a take begins exactly 250 ms before the press and ends exactly 450 ms after the second', () => {
  const tape = new Tape(RATE_HZ);
  const microphone = counting(tape);
  microphone.hear(RATE_HZ);
  const pressed = microphone.heard;
  tape.begin();
  microphone.hear(2 * RATE_HZ);
  const stopped = microphone.heard;
  tape.end();
  const take = microphone.hear(RATE_HZ);
  const samples = flat(take);
  assert.equal(samples[0], pressed - PRE_ROLL_S * RATE_HZ);
  assert.equal(samples.at(-1), stopped + POST_ROLL_S * RATE_HZ - 1);
  assert.equal(take.samples, samples.length);
  assert.ok(samples.every((sample, i) => sample === samples[0] + i), 'no sample is lost or repeated');
  assert.deepEqual([take.preRollS, take.postRollS, take.limited], [0.25, 0.45, false]);
});

test('a take begun as the microphone opens has as much before it as there was', () => {
  const tape = new Tape(RATE_HZ);
  const microphone = counting(tape);
  microphone.hear(CHUNK);
  tape.begin();
  tape.end();
  const take = microphone.hear(RATE_HZ);
  assert.equal(take.preRollS, CHUNK / RATE_HZ);
  assert.equal(flat(take)[0], 0);
});

test('the limit ends a take at exactly 30 s, and the take says so', () => {
  const tape = new Tape(RATE_HZ);
  const microphone = counting(tape);
  microphone.hear(RATE_HZ);
  tape.begin();
  const take = microphone.hear(40 * RATE_HZ);
  assert.equal(take.samples, LIMIT_S * RATE_HZ);
  assert.equal(take.limited, true);
  assert.equal(tape.running, false);
});

test('a stop just before the limit is a stop, with what is left as its end', () => {
  const tape = new Tape(RATE_HZ, {limitS: 1});
  const microphone = counting(tape);
  microphone.hear(RATE_HZ);
  tape.begin();
  microphone.hear(0.7 * RATE_HZ);
  tape.end();
  const take = microphone.hear(RATE_HZ);
  assert.equal(take.samples, RATE_HZ);
  assert.equal(take.limited, false);
  assert.ok(take.postRollS < POST_ROLL_S);
});

test('takes in a row: the next begins with what was heard since the last', () => {
  const tape = new Tape(RATE_HZ);
  const microphone = counting(tape);
  microphone.hear(RATE_HZ);
  tape.begin();
  tape.end();
  const first = microphone.hear(RATE_HZ);
  tape.begin();
  tape.end();
  const second = microphone.hear(RATE_HZ);
  assert.equal(flat(second)[0], flat(first).at(-1) + 1);
});

test('a take that is cut keeps all that was heard', () => {
  const tape = new Tape(RATE_HZ);
  const microphone = counting(tape);
  tape.begin();
  microphone.hear(RATE_HZ);
  const take = tape.cut();
  assert.equal(take.samples, RATE_HZ);
  assert.equal(take.postRollS, 0);
  assert.equal(tape.cut(), null);
});

test('a discarded take leaves nothing behind', () => {
  const tape = new Tape(RATE_HZ);
  const microphone = counting(tape);
  tape.begin();
  microphone.hear(RATE_HZ);
  tape.discard();
  assert.equal(tape.running, false);
  assert.equal(microphone.hear(RATE_HZ), null);
});

test('waiting for hours keeps no more than the pre-roll', () => {
  const tape = new Tape(RATE_HZ);
  const microphone = counting(tape);
  microphone.hear(60 * RATE_HZ);
  tape.begin();
  assert.equal(tape.seconds, PRE_ROLL_S);
});

test('the seconds that are left are counted in samples', () => {
  const tape = new Tape(RATE_HZ, {limitS: 10});
  tape.begin();
  counting(tape).hear(RATE_HZ * 4);
  assert.deepEqual([tape.seconds, tape.leftS], [4, 6]);
});
