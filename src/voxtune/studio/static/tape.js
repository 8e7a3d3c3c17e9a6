/**
 * The tape: decides which samples belong to a take. It only counts samples, never time, so a slow page, a background tab
 * or a late click cannot shorten or lengthen a recording.
 */

export const PRE_ROLL_S = 0.25;
export const POST_ROLL_S = 0.45;
export const LIMIT_S = 30;

/**
 * @typedef {object} Take
 * @property {Float32Array[]} chunks
 * @property {number} samples
 * @property {number} rateHz
 * @property {number} preRollS    how much was heard before the start was pressed
 * @property {number} postRollS   how much was heard after the stop was pressed
 * @property {boolean} limited    true when the limit ended it
 */

export class Tape {
  #ring = [];
  #ringSamples = 0;
  /** @type {Float32Array[] | null} */
  #chunks = null;
  #samples = 0;
  #preRoll = 0;
  #stoppedAt = -1;

  /** @param {number} rateHz */
  constructor(rateHz, {preRollS = PRE_ROLL_S, postRollS = POST_ROLL_S, limitS = LIMIT_S} = {}) {
    this.rateHz = rateHz;
    this.preRollSamples = Math.round(preRollS * rateHz);
    this.postRollSamples = Math.round(postRollS * rateHz);
    this.limitSamples = Math.round(limitS * rateHz);
  }

  /** True from begin() until the take is handed out or discarded. */
  get running() {
    return this.#chunks !== null;
  }

  /** Seconds of the running take so far. */
  get seconds() {
    return this.#samples / this.rateHz;
  }

  /** Seconds until the limit ends the running take. */
  get leftS() {
    return (this.limitSamples - this.#samples) / this.rateHz;
  }

  /** Starts a take; what was heard in the last 250 ms becomes its beginning, so that a first sound is never cut. */
  begin() {
    if (this.running) return;
    const surplus = this.#ringSamples - this.preRollSamples;
    if (surplus > 0) this.#ring[0] = this.#ring[0].subarray(surplus);
    this.#chunks = this.#ring;
    this.#samples = this.#preRoll = Math.min(this.#ringSamples, this.preRollSamples);
    this.#stoppedAt = -1;
    this.#clearRing();
  }

  /** Asks for the end: the take goes on for the post-roll, so that a last sound is never cut. */
  end() {
    if (this.running && this.#stoppedAt < 0) this.#stoppedAt = this.#samples;
  }

  /**
   * Takes in what the microphone heard next.
   * @param {Float32Array} chunk
   * @returns {Take | null} the take, once its last sample has arrived
   */
  feed(chunk) {
    if (!this.#chunks) return this.#remember(chunk);
    const stopped = this.#stoppedAt >= 0;
    const endAt = Math.min(stopped ? this.#stoppedAt + this.postRollSamples : Infinity, this.limitSamples);
    const wanted = endAt - this.#samples;
    this.#chunks.push(wanted < chunk.length ? chunk.subarray(0, wanted) : chunk);
    this.#samples += Math.min(wanted, chunk.length);
    if (this.#samples < endAt) return null;
    const take = this.cut();
    if (take && !stopped) take.limited = true;
    this.#remember(chunk.subarray(wanted));
    return take;
  }

  /**
   * Ends the take here and now, without a post-roll: for a microphone that is going away.
   * @returns {Take | null}
   */
  cut() {
    const chunks = this.#chunks;
    if (!chunks) return null;
    const samples = this.#samples;
    const postRoll = this.#stoppedAt < 0 ? 0 : samples - this.#stoppedAt;
    this.discard();
    return {chunks, samples, rateHz: this.rateHz, preRollS: this.#preRoll / this.rateHz, postRollS: postRoll / this.rateHz, limited: false};
  }

  /** Forgets the running take. */
  discard() {
    this.#chunks = null;
    this.#samples = 0;
    this.#clearRing();
  }

  #clearRing() {
    this.#ring = [];
    this.#ringSamples = 0;
  }

  /** Keeps as few chunks as hold the pre-roll. @param {Float32Array} chunk */
  #remember(chunk) {
    if (chunk.length) this.#ring.push(chunk);
    this.#ringSamples += chunk.length;
    while (this.#ring.length && this.#ringSamples - this.#ring[0].length >= this.preRollSamples) this.#ringSamples -= this.#ring.shift().length;
    return null;
  }
}
