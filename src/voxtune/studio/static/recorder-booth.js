/** The booth: microphone and tape together. It is off, opening, ready, recording or ending, and hands out each finished take. */

import {MicrophoneError, openMicrophone} from './microphone.js';
import {Tape} from './tape.js';

const WATCH_MS = 1000;
const SILENT_WATCHES = 4; // a microphone that delivers nothing for so long is gone, whatever it says

/** @typedef {'off' | 'opening' | 'ready' | 'recording' | 'ending'} Mode */

export class Booth {
  /** @type {Mode} */
  mode = 'off';
  /** @type {import('./microphone.js').Microphone | null} */
  microphone = null;
  /** @type {Tape | null} */
  tape = null;
  #opening = 0;
  #heard = 0;
  #watch;

  /**
   * @param {object} tell
   * @param {(mode: Mode) => void} tell.mode
   * @param {(chunk: Float32Array, rateHz: number) => void} tell.sound
   * @param {(take: import('./tape.js').Take) => void} tell.take
   * @param {(code: string) => void} tell.trouble   a code of MicrophoneError, or 'lost' or 'paused'
   */
  constructor(tell) {
    this.tell = tell;
  }

  /** A take is running. */
  get busy() {
    return this.mode === 'recording' || this.mode === 'ending';
  }

  /** Turns the microphone on; true when it listens. @param {string} deviceId */
  async open(deviceId) {
    if (this.mode !== 'off') return this.mode === 'ready';
    const turn = ++this.#opening;
    this.#go('opening');
    try {
      const microphone = await openMicrophone(deviceId, {
        onChunk: (chunk) => this.#feed(chunk),
        onLost: () => this.#fail('lost'),
        onPaused: () => this.#fail('paused'),
      });
      if (turn !== this.#opening) {
        microphone.close(); // turned off while it was opening
        return false;
      }
      this.microphone = microphone;
      this.tape = new Tape(microphone.rateHz);
    } catch (error) {
      if (turn === this.#opening) this.#fail(error instanceof MicrophoneError ? error.code : 'other');
      return false;
    }
    if (!this.microphone.listening()) {
      this.#fail('paused');
      return false;
    }
    this.#startWatch();
    this.#go('ready');
    return true;
  }

  /** Turns the microphone off. A running take is finished first: nothing that was said is lost. */
  close() {
    this.#opening++;
    clearInterval(this.#watch);
    this.cut();
    this.microphone?.close();
    this.microphone = this.tape = null;
    this.#go('off');
  }

  begin() {
    if (this.mode !== 'ready') return;
    this.tape.begin();
    this.#go('recording');
  }

  end() {
    if (this.mode !== 'recording') return;
    this.tape.end();
    this.#go('ending');
  }

  /** Forgets the running take. */
  discard() {
    if (!this.busy) return;
    this.tape.discard();
    this.#go('ready');
  }

  /** Finishes the running take at once. */
  cut() {
    const take = this.tape?.cut();
    if (take) this.#finish(take);
  }

  /** @param {Float32Array} chunk */
  #feed(chunk) {
    if (!this.tape) return;
    this.#heard++;
    this.tell.sound(chunk, this.microphone.rateHz);
    const take = this.tape.feed(chunk);
    if (take) this.#finish(take);
  }

  /** @param {import('./tape.js').Take} take */
  #finish(take) {
    this.#go('ready');
    this.tell.take(take);
  }

  /** @param {string} code */
  #fail(code) {
    this.close();
    this.tell.trouble(code);
  }

  #startWatch() {
    let before = this.#heard;
    let silent = 0;
    this.#watch = setInterval(() => {
      silent = this.#heard === before ? silent + 1 : 0;
      before = this.#heard;
      if (silent >= SILENT_WATCHES) this.#fail('lost');
    }, WATCH_MS);
  }

  /** @param {Mode} mode */
  #go(mode) {
    if (mode === this.mode) return;
    this.mode = mode;
    this.tell.mode(mode);
  }
}
