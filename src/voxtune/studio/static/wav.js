/** Float samples in, 16-bit PCM mono WAV out: what is written is what was heard, at the microphone's own rate. */

export const HEADER_BYTES = 44;

/**
 * The WAV file of one take.
 * @param {Float32Array[]} chunks samples from -1 to 1, in order
 * @param {number} rateHz
 * @returns {ArrayBuffer}
 */
export function encodeWav(chunks, rateHz) {
  const samples = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  const buffer = new ArrayBuffer(HEADER_BYTES + 2 * samples);
  const view = new DataView(buffer);
  writeHeader(view, samples, rateHz);
  let at = HEADER_BYTES;
  for (const chunk of chunks) {
    for (let i = 0; i < chunk.length; i++, at += 2) view.setInt16(at, toPcm16(chunk[i]), true);
  }
  return buffer;
}

/**
 * One sample as a 16-bit number. The scale is 32768 both ways, so the gain is exactly 1 and only +1.0 is held back by one step.
 * @param {number} sample
 */
export function toPcm16(sample) {
  return Math.max(-32768, Math.min(32767, Math.round(sample * 32768)));
}

/** @param {DataView} view @param {number} samples @param {number} rateHz */
function writeHeader(view, samples, rateHz) {
  const dataBytes = 2 * samples;
  const word = (at, text) => [...text].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  word(0, 'RIFF');
  view.setUint32(4, 36 + dataBytes, true);
  word(8, 'WAVEfmt ');
  view.setUint32(16, 16, true); // bytes of the format block
  view.setUint16(20, 1, true); // PCM
  view.setUint16(22, 1, true); // one channel
  view.setUint32(24, rateHz, true);
  view.setUint32(28, 2 * rateHz, true); // bytes a second
  view.setUint16(32, 2, true); // bytes a frame
  view.setUint16(34, 16, true); // bits a sample
  word(36, 'data');
  view.setUint32(40, dataBytes, true);
}
