/** The level meter: peak level with a hold mark and a target band, drawn 15 times a second of sound, by transform only. */

const FLOOR_DB = -60;
const TARGET_DB = [-27, -4]; // peaks of speech well above the noise, and room before clipping; recorder.css draws the same band
const QUIET_DB = -38; // below this nobody is speaking, so there is no level to judge
const HOLD_S = 1.5;
const FRAMES_PER_S = 15;

/** What a peak level means to the reader. @param {number} db */
export function levelWord(db) {
  if (db < QUIET_DB) return 'none';
  if (db < TARGET_DB[0]) return 'quiet';
  return db <= TARGET_DB[1] ? 'good' : 'loud';
}

export class Meter {
  #peak = 0;
  #samples = 0;
  #hold = FLOOR_DB;
  #heldFor = 0;

  /** @param {HTMLElement} element role=meter, with children .vx-recorder-fill and .vx-recorder-hold @param {(word: string) => void} onWord */
  constructor(element, onWord) {
    this.element = element;
    this.fill = element.querySelector('.vx-recorder-fill');
    this.holdMark = element.querySelector('.vx-recorder-hold');
    this.onWord = onWord;
  }

  /** @param {Float32Array} chunk @param {number} rateHz */
  feed(chunk, rateHz) {
    for (let i = 0; i < chunk.length; i++) this.#peak = Math.max(this.#peak, Math.abs(chunk[i]));
    this.#samples += chunk.length;
    if (this.#samples < rateHz / FRAMES_PER_S) return;
    const db = Math.max(FLOOR_DB, 20 * Math.log10(this.#peak + 1e-6));
    this.#heldFor += this.#samples / rateHz;
    if (db >= this.#hold || this.#heldFor > HOLD_S) [this.#hold, this.#heldFor] = [db, 0];
    this.#draw(db);
    this.#peak *= 0.4; // falls back smoothly instead of flickering
    this.#samples = 0;
  }

  /** Back to silence. */
  rest() {
    [this.#peak, this.#samples, this.#hold] = [0, 0, FLOOR_DB];
    this.#draw(FLOOR_DB);
  }

  /** @param {number} db */
  #draw(db) {
    const word = levelWord(this.#hold);
    this.fill.style.transform = `scaleX(${1 - db / FLOOR_DB})`;
    this.holdMark.style.transform = `translateX(${100 * (1 - this.#hold / FLOOR_DB)}%)`;
    this.element.dataset.level = word;
    this.element.setAttribute('aria-valuenow', String(Math.round(db)));
    this.onWord(word);
  }
}
