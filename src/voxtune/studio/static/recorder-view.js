/** What is seen of the recorder: draws the list, the stage and the status from what the recorder knows. */

import {Meter} from './meter.js';
import {isAboutOneTake} from './outbox.js';
import {isGood} from './recorder-reading.js';
import {Rows, takeNote} from './recorder-rows.js';
import * as sayings from './recorder-sayings.js';
import {Stage} from './recorder-stage.js';
import {t} from './studio.js';

export class View {
  /** @param {HTMLElement} root @param {import('./recorder-desk.js').Desk} desk */
  constructor(root, desk) {
    this.root = root;
    this.desk = desk;
    this.stage = new Stage(root);
    this.rows = new Rows(root.querySelector('.vx-recorder-rows'), (place) => {
      desk.select(place);
      this.stage.reveal();
    });
    this.meter = new Meter(root.querySelector('.vx-recorder-meter'), (word) => this.stage.level(word));
  }

  /** Draws all that the data say; cheap enough to be called at any change. */
  paint() {
    const {reading, booth, running, player, takes} = this.desk;
    if (!reading.loaded) return;
    const row = running ?? reading.current;
    const {language, dir, progress} = reading.now;
    const place = row ? t('recorder.place', {n: reading.index + 1, all: reading.rows.length}) : '';
    const target = takes.target() >= 0;
    this.rows.paint(reading, (each) => this.#stateOf(each));
    this.stage.sentence({text: row?.text ?? '', language, dir, place});
    this.stage.buttons({
      mode: row ? booth.mode : 'empty',
      recorded: Boolean(row && takes.isDone(row)),
      playing: Boolean(player.playing),
      target,
      skippable: takes.skippable,
    });
    const waiting = [...takes.outbox.items.values()].filter((item) => item.kept);
    const asked = waiting.find((item) => isAboutOneTake(item.answer?.status ?? 0)) ?? waiting[0]; // first what a person must decide
    this.stage.progress(progress, waiting.length, () => {
      if (asked.refused) this.desk.select(reading.place(asked.phrase), {quiet: true}); // that is the sentence to record again
      this.sayKept(asked.answer);
    });
    this.stage.elsewhere(takes.outbox.elsewhere);
    this.stage.foot(reading.now);
  }

  /** @param {import('./recorder-sayings.js').Saying} saying @param {import('./recorder-stage.js').Offer[]} [offers] */
  say(saying, offers) {
    this.stage.say(saying.kind, saying.text, {more: saying.more, offers});
  }

  /** What there is to say of the current sentence. */
  sayRow() {
    const {reading, booth, takes} = this.desk;
    const row = reading.current;
    if (!row) return this.sayEmpty();
    const item = takes.unsaved(row);
    if (item) return item.kept ? this.sayKept(item.answer) : this.say(sayings.saving());
    if (row.take) return this.sayVerdict(row);
    this.say(sayings.toDo(booth.mode));
  }

  /** @param {import('./recorder-reading.js').Row} row @param {string[]} [aside] what else must be said */
  sayVerdict(row, aside = []) {
    const said = sayings.verdict(row.take);
    const offers = isGood(row.take) ? [] : [{label: t('recorder.keep'), name: 'keep', run: () => this.desk.takes.accept(row)}];
    this.say({...said, more: [...(said.more ?? []), ...aside]}, offers);
  }

  /** @param {import('./outbox.js').Answer} [answer] what the server said, if it said anything */
  sayKept(answer) {
    const {takes} = this.desk;
    const offers = [{label: t('recorder.download'), name: 'download', run: () => takes.download()}];
    if (isAboutOneTake(answer?.status ?? 0)) offers.push({label: t('recorder.drop'), name: 'drop', run: () => takes.drop()});
    this.say(sayings.kept(answer, takes.outbox.safe), offers);
  }

  sayAllDone() {
    const {desk} = this;
    const {rows, now} = desk.reading;
    const offers = [{label: t('recorder.onwards'), name: 'go', run: () => desk.onwards()}];
    if (now.can_add) offers.unshift({label: t('recorder.add'), name: 'add', run: () => desk.add()});
    this.say({kind: 'good', text: t('say.all_done', {n: rows.length})}, offers);
  }

  sayEmpty() {
    this.say({kind: 'info', text: t('say.empty')}, [{label: t('recorder.choose_language'), name: 'go', run: () => this.desk.chooseLanguage()}]);
  }

  /** @param {import('./recorder-reading.js').Row} row @returns {{state: import('./recorder-rows.js').RowState, note: string}} */
  #stateOf(row) {
    if (this.desk.running?.phrase === row.phrase) return {state: 'recording', note: t('row.recording')};
    const item = this.desk.takes.unsaved(row);
    if (item?.refused) return {state: 'refused', note: t('row.refused')};
    if (item) return item.kept ? {state: 'kept', note: t('row.kept')} : {state: 'sending', note: t('row.sending')};
    if (!row.take) return {state: 'todo', note: ''};
    return {state: isGood(row.take) ? 'good' : 'advice', note: takeNote(row.take)};
  }
}
