import assert from 'node:assert/strict';
import {test} from 'node:test';

import {HEADER_BYTES, encodeWav, toPcm16} from '../../src/voxtune/studio/static/wav.js';

const text = (view, at) => String.fromCharCode(...Array.from({length: 4}, (_, i) => view.getUint8(at + i)));

test('a WAV says what it holds', () => {
  const view = new DataView(encodeWav([new Float32Array(100), new Float32Array(28)], 44_100));
  assert.equal(view.byteLength, HEADER_BYTES + 256);
  assert.deepEqual([text(view, 0), text(view, 8), text(view, 12), text(view, 36)], ['RIFF', 'WAVE', 'fmt ', 'data']);
  assert.equal(view.getUint32(4, true), view.byteLength - 8);
  assert.deepEqual([view.getUint16(20, true), view.getUint16(22, true), view.getUint16(34, true)], [1, 1, 16]);
  assert.deepEqual([view.getUint32(24, true), view.getUint32(28, true), view.getUint32(40, true)], [44_100, 88_200, 256]);
});

test('samples keep their order over chunks, and their gain is exactly one', () => {
  const chunks = [Float32Array.of(0, 0.5), Float32Array.of(-0.5, 0.25, -1)];
  const samples = new Int16Array(encodeWav(chunks, 48_000), HEADER_BYTES);
  assert.deepEqual([...samples], [0, 16_384, -16_384, 8_192, -32_768]);
});

test('what is too loud is held at the edge and never turns over', () => {
  assert.deepEqual([1, 1.5, -1.5, 32_767 / 32_768].map(toPcm16), [32_767, 32_767, -32_768, 32_767]);
});

test('every 16-bit value survives the way to float and back', () => {
  for (let value = -32_768; value < 32_768; value += 7) assert.equal(toPcm16(Math.fround(value / 32_768)), value);
});

test('thirty seconds are encoded within a moment', () => {
  const chunks = Array.from({length: 1_407}, () => new Float32Array(1_024).fill(0.1));
  const begun = performance.now();
  encodeWav(chunks, 48_000);
  assert.ok(performance.now() - begun < 1_000);
});
