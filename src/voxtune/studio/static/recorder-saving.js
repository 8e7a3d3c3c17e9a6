/** From a finished take to a saved one: WAV, outbox, server, and the page told at each station. */

import {Outbox, openStore, takeKey} from './outbox.js';
import {api, room} from './studio.js';
import {encodeWav} from './wav.js';

const UPLOAD_MS = 180_000; // a long take over a slow line

export class Saving {
  /** For tests: the last acknowledged take, `ms` from the end of its post-roll to the answer. @type {?{key: string, phrase: string, ms: number, status: number}} */
  lastAck = null;
  #lastKey = '';
  /** @type {Map<string, number>} */
  #ended = new Map();

  /** @param {ConstructorParameters<typeof Outbox>[2]} tell */
  static async open(tell) {
    const saving = new Saving();
    const answered = (then) => (item, answer) => {
      saving.#acknowledge(item, answer?.status ?? 200);
      then(item, answer);
    };
    saving.outbox = new Outbox(await openStore(), send, {...tell, saved: answered(tell.saved), refused: answered(tell.refused)}, room);
    await saving.outbox.load();
    return saving;
  }

  /**
   * Keeps a take on this computer; resolves when it is safe here, and not yet sent.
   * @param {import('./tape.js').Take} take @param {import('./recorder-reading.js').Row} row @param {object} facts of the microphone
   */
  async keep(take, row, facts) {
    const key = takeKey([this.#lastKey, row.take?.take ?? ''].sort().at(-1));
    this.#lastKey = key;
    this.#ended.set(key, performance.now());
    const device = asciiJson({...facts, pre_roll_s: round(take.preRollS), post_roll_s: round(take.postRollS)});
    // No await before this: on a page that is closing, the browser still completes what was begun.
    await this.outbox.add({key, phrase: row.phrase, wav: encodeWav(take.chunks, take.rateHz), device});
  }

  /** @param {import('./outbox.js').Item} item @param {number} status */
  #acknowledge(item, status) {
    const ended = this.#ended.get(item.key);
    this.#ended.delete(item.key);
    this.lastAck = {key: item.key, phrase: item.phrase, ms: ended === undefined ? NaN : performance.now() - ended, status};
  }
}

/** Hands every unsent take to the person as a WAV file. @param {Iterable<import('./outbox.js').Item>} items */
export function download(items) {
  for (const item of items) {
    const url = URL.createObjectURL(wavBlob(item));
    Object.assign(document.createElement('a'), {href: url, download: `${item.phrase}-${item.key.slice(0, 9)}.wav`}).click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  }
}

/** @param {import('./outbox.js').Item} item */
export const wavBlob = (item) => new Blob([item.wav], {type: 'audio/wav'});

/** @param {import('./outbox.js').Item} item @returns {Promise<import('./outbox.js').Answer>} */
async function send(item) {
  const response = await api(`takes/${encodeURIComponent(item.phrase)}`, {
    method: 'PUT',
    body: item.wav,
    headers: {'Content-Type': 'audio/wav', 'X-Vx-Take': item.key, 'X-Vx-Device': item.device},
    signal: AbortSignal.timeout(UPLOAD_MS),
  });
  const body = await response.json().catch(() => null);
  // A 200 that is not ours (a login page, a proxy) is no acknowledgement.
  return response.ok && !body?.row ? {status: 0, body: null} : {status: response.status, body};
}

/** JSON that may stand in a header. @param {object} value */
const asciiJson = (value) => JSON.stringify(value).replace(/[^\x20-\x7e]/g, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`);

/** @param {number} seconds */
const round = (seconds) => Math.round(seconds * 1000) / 1000;
