/** The stage: the sentence to read, what to do now, the level, and the buttons. It draws; it decides nothing. */

import {remember, remembered} from './recorder-memory.js';
import {number} from './run-figures.js';
import {t} from './studio.js';

const SIZES = 5;
const FIRST_SIZE = 1;
const MARKS = {info: '', good: '✓', warn: '!', bad: '!', recording: '●', busy: ''};
const COUNTDOWN_S = 10;
const PHONE = matchMedia('(max-width: 520px), (max-height: 560px)');

/**
 * @typedef {object} Offer   a button next to the status
 * @property {string} label
 * @property {() => void} run
 * @property {string} [name]   ends its class, vx-recorder-offer-NAME
 */

export class Stage {
  /** @param {HTMLElement} root */
  constructor(root) {
    this.root = root;
    this.$ = (name) => root.querySelector(`.vx-recorder-${name}`);
    this.$('smaller').onclick = () => this.#resize(-1);
    this.$('larger').onclick = () => this.#resize(1);
    this.#resize(0);
  }

  /** What the person shall know now. @param {'info'|'good'|'warn'|'bad'|'recording'|'busy'} kind @param {string} text @param {{more?: string[], offers?: Offer[]}} [rest] */
  say(kind, text, {more = [], offers = []} = {}) {
    this.$('say').dataset.kind = kind;
    this.$('mark').textContent = MARKS[kind];
    if (this.$('status').textContent !== text) this.$('status').textContent = text;
    const list = this.$('more');
    list.replaceChildren(...more.map((line) => Object.assign(document.createElement('li'), {textContent: line})));
    list.hidden = more.length === 0;
    const hadFocus = this.$('offers').contains(document.activeElement);
    this.$('offers').replaceChildren(...offers.map(offerButton));
    if (hadFocus) this.focusRecord();
  }

  /** @param {{text: string, language: string, dir: string, place: string}} shown */
  sentence({text, language, dir, place}) {
    const phrase = this.$('phrase');
    phrase.lang = language;
    phrase.dir = dir;
    if (phrase.textContent !== text) phrase.textContent = text;
    this.$('place').textContent = place;
  }

  /** @param {{mode: string, recorded: boolean, playing: boolean, target: boolean, skippable: boolean}} now `target`: there is a take to play, redo or undo */
  buttons({mode, recorded, playing, target, skippable}) {
    const busy = mode === 'recording' || mode === 'ending';
    this.root.dataset.mode = mode;
    this.$('recordword').textContent = t(`record.${mode === 'ready' && recorded ? 'again' : mode}`);
    this.#able('record', ['off', 'ready', 'recording'].includes(mode));
    this.#able('play', target && !busy);
    this.#able('redo', target && !busy && mode !== 'opening');
    this.#able('undo', target && !busy);
    this.#able('skip', skippable && !busy);
    this.$('play').dataset.playing = playing ? 'yes' : '';
    this.$('play').querySelector('span').textContent = t(playing ? 'recorder.stop_playing' : 'recorder.play');
    this.$('off').hidden = mode !== 'ready' && !busy;
  }

  /** @param {?{facts: {rate_hz: number}, raw: ?boolean}} microphone */
  raw(microphone) {
    const hint = this.$('raw');
    hint.hidden = !microphone;
    if (!microphone) return;
    const word = microphone.raw === true ? 'on' : microphone.raw === false ? 'off' : 'unknown';
    hint.dataset.raw = word;
    hint.textContent = t(`recorder.raw_${word}`, {khz: number(microphone.facts.rate_hz / 1000, 1)});
    hint.title = t(`recorder.raw_${word}_hint`);
  }

  /** The clock of a running take; the last seconds count down. @param {?{seconds: number, leftS: number}} tape */
  clock(tape) {
    const clock = this.$('clock');
    const ending = tape && tape.leftS <= COUNTDOWN_S;
    const text = !tape ? '' : ending ? t('recorder.left', {n: Math.max(0, Math.ceil(tape.leftS))}) : minutesAndSeconds(tape.seconds);
    if (clock.textContent !== text) clock.textContent = text;
    clock.dataset.ending = ending ? 'yes' : '';
  }

  /** @param {string} word of meter.js */
  level(word) {
    const text = word === 'none' ? '' : t(`level.${word}`);
    const element = this.$('levelword');
    if (element.textContent === text) return;
    element.textContent = text;
    this.$('meter').setAttribute('aria-valuetext', text || t('level.none'));
  }

  /** @param {import('./recorder-reading.js').Progress} progress @param {number} waiting takes that could not be sent @param {() => void} onWaiting asked about them */
  progress(progress, waiting, onWaiting) {
    const parts = [
      t('recorder.recorded', {n: number(progress.recorded), max: number(progress.max)}),
      t('recorder.minutes', {n: number(progress.minutes, 1, 1)}),
      t('recorder.coverage', {n: number(100 * progress.coverage)}),
    ];
    this.$('sums').replaceChildren(...parts.map((text) => Object.assign(document.createElement('span'), {textContent: text})));
    const button = this.$('waiting');
    button.hidden = !waiting;
    button.textContent = t('recorder.waiting', {n: number(waiting)});
    button.onclick = onWaiting;
    const bar = this.$('slim');
    bar.setAttribute('aria-valuemax', String(progress.max));
    bar.setAttribute('aria-valuenow', String(Math.min(progress.recorded, progress.max)));
    bar.setAttribute('aria-valuetext', parts[0]);
    const share = (value) => `scaleX(${Math.min(1, value / progress.max)})`;
    bar.querySelector('.vx-recorder-open').style.transform = share(progress.rows);
    bar.querySelector('.vx-recorder-done').style.transform = share(progress.recorded);
  }

  /** @param {number} takes of other workspaces that wait in this browser */
  elsewhere(takes) {
    const line = this.$('elsewhere');
    line.hidden = !takes;
    line.textContent = takes ? t('recorder.elsewhere', {n: number(takes)}) : '';
  }

  /** A line above everything: why there is no list yet. @param {string} text @param {Offer} [offer] */
  notice(text, offer) {
    const notice = this.$('notice');
    const button = notice.querySelector('button');
    notice.hidden = !text;
    notice.querySelector('p').textContent = text;
    button.hidden = !offer;
    button.textContent = offer?.label ?? '';
    button.onclick = offer?.run ?? null;
  }

  /** @param {{can_add: boolean, notice: string, attribution: string}} reading */
  foot({can_add: canAdd, notice, attribution}) {
    this.$('add').hidden = !canAdd;
    this.$('why').textContent = notice;
    this.$('attribution').textContent = attribution;
  }

  /** Brings the sentence into view. On a phone the stage has no box of its own: there it begins at the top. */
  reveal() {
    if (PHONE.matches) this.$('top').scrollIntoView({block: 'start'});
    else this.$('stage').scrollIntoView({block: 'nearest'});
  }

  focusRecord() {
    this.$('record').focus({preventScroll: true});
  }

  /** @param {string} name @param {boolean} can */
  #able(name, can) {
    this.$(name).setAttribute('aria-disabled', String(!can)); // not `disabled`: that would throw the focus away
  }

  /** @param {number} by */
  #resize(by) {
    const before = Number(remembered('size', String(FIRST_SIZE))) || 0;
    const size = Math.max(0, Math.min(SIZES - 1, before + by));
    if (by) remember('size', String(size));
    this.$('phrase').dataset.size = String(size);
    this.#able('smaller', size > 0);
    this.#able('larger', size < SIZES - 1);
  }
}

/** @param {Offer} offer */
function offerButton({label, run, name = ''}) {
  const button = Object.assign(document.createElement('button'), {type: 'button', textContent: label, onclick: run});
  if (name) button.className = `vx-recorder-offer-${name}`;
  return button;
}

/** @param {number} seconds */
const minutesAndSeconds = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, '0')}`;
