/** The desk of the recorder: where everything that a person can do arrives. */

import {obstacle} from './microphone.js';
import {Booth} from './recorder-booth.js';
import {chosenDevice, paintDevices} from './recorder-device.js';
import {remember, remembered} from './recorder-memory.js';
import {Player} from './player.js';
import {Reading} from './recorder-reading.js';
import * as sayings from './recorder-sayings.js';
import {Takes} from './recorder-takes.js';
import {View} from './recorder-view.js';
import {api, ApiError, at, go, t} from './studio.js';

const WITHOUT_REMEDY = new Set(['insecure', 'unsupported']);

export class Desk {
  reading = new Reading();
  /** @type {?import('./recorder-reading.js').Row} the row of the running take */
  running = null;
  #wanted = false; // the person has turned the microphone on, and not off again

  /** @param {HTMLElement} root @param {() => void} tellOthers that takes have changed */
  constructor(root, tellOthers) {
    this.root = root;
    this.view = new View(root, this);
    this.takes = new Takes(this, tellOthers);
    this.player = new Player(() => this.view.paint());
    this.booth = new Booth({
      mode: (mode) => this.#onMode(mode),
      sound: (chunk, rateHz) => {
        this.view.meter.feed(chunk, rateHz);
        if (this.booth.busy) this.view.stage.clock(this.booth.tape);
      },
      take: (take) => this.#onTake(take),
      trouble: (code) => this.#onTrouble(code),
    });
  }

  /** Whether to go on by itself after a good take. */
  get advance() {
    return remembered('advance', 'yes') === 'yes';
  }

  set advance(on) {
    remember('advance', on ? 'yes' : 'no');
  }

  // ---- the list

  /** Asks the server for the list. Takes acknowledged meanwhile are newer than its answer, and who comes to the recorder meanwhile wants sentences: then it is asked again. */
  async refresh() {
    const asked = this.takes.changes;
    const shown = at() === 'recordings';
    const json = await api.json(shown ? 'reading?show=1' : 'reading'); // unseen, it shows nobody any sentence
    if (asked !== this.takes.changes || (!shown && at() === 'recordings')) return this.refresh();
    const before = this.reading.current;
    const first = !this.reading.loaded;
    this.reading.apply(json, this.takes.isDone);
    this.view.paint();
    this.view.stage.notice('');
    const same = before?.phrase === this.reading.current?.phrase && before?.take?.take === this.reading.current?.take?.take;
    if ((first || !same) && !this.booth.busy) this.sayWhatIs();
  }

  /** What to do with the current sentence; where nothing can be recorded, why. */
  sayWhatIs() {
    const reason = obstacle();
    if (reason) this.booth.tell.trouble(reason);
    else this.view.sayRow();
  }

  /** @param {number} place */
  select(place, {quiet = false} = {}) {
    if (this.booth.busy || !this.reading.rows[place]) return;
    this.player.stop();
    const follow = this.view.rows.hasFocus;
    this.reading.index = place;
    this.view.paint();
    if (follow) this.view.rows.focus(place);
    if (!quiet) this.view.sayRow();
  }

  /** @param {number} by */
  move(by) {
    this.select(this.reading.index + by);
  }

  /** Ten sentences more. */
  async add() {
    const before = this.reading.rows.length;
    if (!this.reading.now.can_add || this.booth.busy) return;
    await this.ask('reading/more', undefined, (json) => {
      this.reading.apply(json, this.takes.isDone);
      this.select(before);
    });
  }

  /** Another sentence in place of the current one, which never comes again. @param {string} reason */
  async skip(reason) {
    if (!this.takes.skippable || this.booth.busy) return;
    const place = this.reading.index;
    await this.ask('reading/skip', {phrase: this.reading.current.phrase, reason}, (json) => {
      this.reading.apply(json, this.takes.isDone);
      this.reading.index = Math.min(place, Math.max(0, this.reading.rows.length - 1));
      this.view.paint();
      this.takes.tellOthers();
      this.view.say({kind: 'info', text: t('say.skipped')});
    });
  }

  // ---- recording

  /** Record or stop. The first press turns the microphone on, so that the level can be seen before anything counts. */
  async toggle() {
    if (this.booth.mode === 'recording') this.booth.end();
    else if (this.booth.mode === 'off') await this.turnOn();
    else this.#begin();
  }

  /** Records a sentence anew: the current one, or where that is to do the one recorded last. */
  async redo() {
    const place = this.takes.target();
    if (place < 0 || this.booth.busy) return;
    this.select(place, {quiet: true});
    await this.toggle();
  }

  /** Forgets the running take. */
  discard() {
    if (!this.booth.busy) return this.player.stop();
    this.running = null;
    this.booth.discard();
    this.view.say({kind: 'info', text: t('say.discarded')});
  }

  #begin() {
    if (this.booth.mode !== 'ready' || !this.reading.current) return;
    if (this.player.playing) {
      this.player.stop();
      this.booth.tape.discard(); // or the loudspeaker would be heard in the pre-roll
    }
    this.running = this.reading.current;
    this.takes.aside = '';
    this.booth.begin();
    this.view.say(sayings.recording());
    if (!this.view.rows.hasFocus) this.view.stage.focusRecord();
    this.view.stage.reveal();
  }

  /** @param {import('./tape.js').Take} take */
  #onTake(take) {
    const row = this.running;
    this.running = null;
    if (row) this.takes.keep(take, row, this.booth.microphone.facts);
  }

  /** @param {import('./recorder-booth.js').Mode} mode */
  #onMode(mode) {
    const {stage, meter} = this.view;
    if (mode === 'off') meter.rest();
    if (mode === 'off' || mode === 'ready') {
      stage.clock(null);
      stage.raw(this.booth.microphone);
    }
    this.view.paint();
  }

  // ---- the microphone

  async turnOn() {
    if (!this.reading.current) return;
    this.takes.aside = '';
    this.view.say(sayings.opening());
    if (!(await this.booth.open(chosenDevice()))) return;
    this.#wanted = true;
    this.view.sayRow();
    this.view.stage.reveal();
    await this.paintDevices();
    navigator.wakeLock?.request('screen').catch(() => {}); // a phone shall not sleep while one reads
  }

  turnOff() {
    this.#wanted = false;
    this.booth.close();
    this.view.sayRow();
  }

  paintDevices() {
    return paintDevices(this.root.querySelector('.vx-recorder-device'), this.booth.microphone?.deviceId ?? '');
  }

  async changeDevice() {
    this.booth.close();
    await this.turnOn();
  }

  /** @param {string} code */
  #onTrouble(code) {
    const said = sayings.trouble(code);
    if (code === 'lost' || code === 'paused') this.takes.aside = said.text;
    const fallback = document.getElementById('vx-fallback');
    if (WITHOUT_REMEDY.has(code) && fallback) {
      fallback.classList.remove('vx-hidden');
      said.more = [...(said.more ?? []), t('mic.fallback')];
    }
    this.view.say(said);
  }

  /** The recorder is not seen any more: the microphone goes off; a running take is finished and kept. */
  leave() {
    this.player.stop();
    if (this.booth.busy) this.takes.aside = t('say.finished_for_you');
    const wasOn = this.booth.mode === 'ready';
    this.booth.close();
    if (wasOn) this.view.sayRow();
  }

  /** It is seen again: the microphone goes on if it was, and if the browser will not ask for it again. */
  async enter() {
    if (!this.#wanted || this.booth.mode !== 'off') return;
    const permission = await navigator.permissions?.query({name: 'microphone'}).catch(() => null);
    if (permission?.state === 'granted' && (await this.booth.open(chosenDevice()))) this.view.sayRow();
  }

  // ---- elsewhere

  onwards() {
    go('dataset');
  }

  chooseLanguage() {
    go('language');
  }

  /** A call to the server that a person waits for. @param {string} path @param {object | undefined} body @param {(json: any) => void} then */
  async ask(path, body, then) {
    try {
      then(await api.json(path, {method: 'POST', ...(body ? {body} : {})}));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.view.say(sayings.failure(error));
    }
  }
}
