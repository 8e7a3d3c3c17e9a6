/** What becomes of takes: kept, saved, judged, played, set aside, brought back. */

import {isAboutOneTake} from './outbox.js';
import {isGood} from './recorder-reading.js';
import * as sayings from './recorder-sayings.js';
import {Saving, download, wavBlob} from './recorder-saving.js';
import {api, t} from './studio.js';

/** @typedef {import('./recorder-reading.js').Row} Row */

export class Takes {
  /** @type {{phrase: string, key: string}[]} saved since the page was opened */
  #saved = [];
  /** What must not be lost when the next verdict is said. */
  aside = '';
  /** Counts what the server has acknowledged, to know an older answer by it. */
  changes = 0;

  /** @param {import('./recorder-desk.js').Desk} desk @param {() => void} tellOthers */
  constructor(desk, tellOthers) {
    this.desk = desk;
    this.tellOthers = tellOthers;
  }

  async open() {
    this.saving = await Saving.open({
      saved: (item, body) => this.#onSaved(item, body),
      refused: (item, answer) => this.#onUnsaved(item, answer),
      waiting: (item, answer) => this.#onUnsaved(item, answer),
    });
    this.outbox = this.saving.outbox;
  }

  /** The take of a row that the server has not got, if that is its newest. @param {Row} row */
  unsaved = (row) => this.outbox.of(row.phrase, row.take?.take);

  /** @param {Row} row */
  isDone = (row) => Boolean(row.take || (this.unsaved(row) && !this.unsaved(row).refused));

  get skippable() {
    const row = this.desk.reading.current;
    return Boolean(row) && !this.isDone(row);
  }

  /** The row that Play, Redo and Undo mean: the current one, or where that is to do the one recorded last; -1 where there is none. */
  target() {
    const {reading} = this.desk;
    if (!reading.current || this.isDone(reading.current)) return reading.current ? reading.index : -1;
    const last = this.#saved.filter(({phrase, key}) => reading.rows[reading.place(phrase)]?.take?.take === key).at(-1);
    return last ? reading.place(last.phrase) : -1;
  }

  /** @param {import('./tape.js').Take} take @param {Row} row @param {object} facts of the microphone */
  async keep(take, row, facts) {
    const {view} = this.desk;
    if (take.limited) this.aside = t('say.limit');
    view.say(sayings.saving());
    const kept = this.saving.keep(take, row, facts);
    view.paint();
    await kept;
    await this.outbox.flush();
  }

  /** @param {import('./outbox.js').Item} item @param {{row: Row, progress: import('./recorder-reading.js').Progress}} body */
  #onSaved(item, {row, progress}) {
    const {desk} = this;
    const {reading, view} = desk;
    this.#saved.push({phrase: item.phrase, key: item.key});
    this.#takeIn(row, progress);
    const place = reading.place(row.phrase);
    if (desk.booth.busy || place < 0) return;
    const aside = this.aside ? [this.aside] : [];
    this.aside = '';
    const isCurrent = place === reading.index;
    if (isCurrent && !(isGood(row.take) && desk.advance)) return view.sayVerdict(row, aside);
    if (isCurrent) {
      const next = reading.nextToDo(place, this.isDone);
      if (next < 0) return view.sayAllDone();
      desk.select(next, {quiet: true});
    }
    const said = sayings.verdict(row.take);
    view.say({...said, text: t('say.of_row', {n: place + 1, text: said.text}), more: [...(said.more ?? []), ...aside]});
  }

  /** @param {import('./outbox.js').Item} item @param {import('./outbox.js').Answer} answer */
  #onUnsaved(item, answer) {
    const known = item.answer?.status === answer.status; // said once: it is tried again every few seconds
    item.answer = answer;
    this.desk.view.paint();
    if (!known && !this.desk.booth.busy) this.desk.view.sayKept(answer);
  }

  /** Sets the newest take aside, so that the one before it counts again. */
  async undo() {
    const {reading, view, booth} = this.desk;
    const place = this.target();
    if (place < 0 || booth.busy) return;
    const row = reading.rows[place];
    const item = this.unsaved(row);
    if (item?.refused) return view.sayKept(item.answer);
    if (item) return view.say({kind: 'warn', text: t('say.undo_later')});
    const {take} = row.take;
    this.desk.select(place, {quiet: true});
    await this.#change(take, 'trash', (now) => {
      view.say({kind: 'info', text: t(now.take ? 'say.undone_former' : 'say.undone')}, [{label: t('recorder.restore'), name: 'restore', run: () => this.#restore(take)}]);
    });
  }

  #restore(take) {
    return this.#change(take, 'restore', (row) => this.desk.view.sayVerdict(row));
  }

  /** Keeps a take in spite of what is said against it. @param {Row} row */
  accept(row) {
    return this.#change(row.take.take, 'accept', (now) => this.desk.view.sayVerdict(now));
  }

  /** @param {string} take @param {'trash' | 'restore' | 'accept'} change @param {(row: Row) => void} then */
  async #change(take, change, then) {
    await this.desk.ask(`takes/${take}/${change}`, undefined, ({row, progress}) => {
      this.#takeIn(row, progress);
      then(row);
    });
  }

  /** @param {Row} row @param {import('./recorder-reading.js').Progress} progress */
  #takeIn(row, progress) {
    this.changes++;
    this.desk.reading.replace(row, progress);
    this.desk.view.paint();
    this.tellOthers();
  }

  async play() {
    const {reading, booth, player, view} = this.desk;
    const row = reading.rows[this.target()];
    if (!row || booth.busy) return;
    const item = this.unsaved(row);
    const key = item?.key ?? row.take.take;
    try {
      await player.toggle(key, async () => (item ? wavBlob(item) : audioOf(key)));
    } catch {
      view.say({kind: 'bad', text: t('say.cannot_play')});
    }
  }

  /** All that is not on the server yet, as files. */
  download() {
    download(this.outbox.items.values());
  }

  /** Gives up the takes that the server will never take, if the person is sure. */
  async drop() {
    if (!window.confirm(t('recorder.drop_sure'))) return;
    for (const item of this.outbox.items.values()) if (isAboutOneTake(item.answer?.status ?? 0)) await this.outbox.drop(item.key);
    this.desk.view.paint();
    this.desk.view.sayRow();
  }
}

/** @param {string} key */
async function audioOf(key) {
  const response = await api(`takes/${key}/audio`);
  if (!response.ok) throw new Error(String(response.status));
  return response.blob();
}
