/**
 * The dataset step: recordings worst first, to listen to, correct, keep or leave out; the dataset made of them; downloads.
 *
 * For tests, stable names: .vx-dataset[data-state=loading|failed|empty|ready], .vx-dataset-sum, .vx-dataset-card[data-made=none|stale|current|imported],
 * .vx-dataset-make, .vx-dataset-download, .vx-dataset-format[data-format], .vx-dataset-filter [data-filter=all|problems],
 * .vx-dataset-rows > li[data-take][data-state=good|problem|accepted] with .vx-dataset-play|text|accept|again|trash-it, .vx-dataset-editor textarea,
 * .vx-dataset-trash (details) li[data-take] .vx-dataset-restore, .vx-dataset-said with .vx-dataset-undo.
 */

import {drawFormats, paintHead, put, toggleFormats} from './dataset-head.js';
import {edit} from './dataset-edit.js';
import {Player} from './player.js';
import {Order, groupOf, isBad, newRow, paintPlaying, paintRow, readable, trashedRow} from './dataset-rows.js';
import {announce, api, at, changed, go, ready, t, translate} from './studio.js';

const STEP = 'dataset';
const PACKING_MS = 600_000;

/** @param {HTMLElement} element @param {{trigger?: (event: string) => void}} gradio */
export async function mount(element, gradio = {}) {
  await ready();
  const root = element.querySelector('.vx-dataset');
  translate(root);
  new Desk(root, () => gradio.trigger?.('changed')).begin();
}

class Desk {
  #order = new Order();
  #filter = 'all';
  /** Rows that stay in sight although they have no problem any more. @type {Set<string>} */
  #settled = new Set();
  /** Sentences that the recorder shows. @type {Set<string>} */
  #readable = new Set();
  #own = false;
  #old = true;
  /** @type {(() => Promise<void>) | null} */
  #undo = null;
  data = null;

  /** @param {HTMLElement} root @param {() => void} tellPython */
  constructor(root, tellPython) {
    this.root = root;
    this.tellPython = tellPython;
    this.player = new Player((key) => this.#paintPlayer(key, 0), (key, share) => this.#paintPlayer(key, share));
  }

  /** @param {string} name */
  find(name) {
    return this.root.querySelector(`.vx-dataset-${name}`);
  }

  begin() {
    const act = (call) => (event) => this.#guarded(() => call(event));
    this.find('retry').onclick = act(() => this.refresh());
    this.find('to').onclick = () => go('recordings');
    this.find('publish').onclick = () => go('publishing');
    this.find('make').onclick = act(() => this.#make());
    this.find('undo').onclick = act(() => this.#runUndo());
    this.find('close').onclick = () => this.#say('');
    this.find('rows').onclick = act((event) => this.#onRow(event.target.closest('button')));
    this.find('trash').querySelector('ul').onclick = act((event) => this.#onTrashed(event.target.closest('button')));
    for (const button of this.root.querySelectorAll('[data-filter]')) button.onclick = () => this.#show(button.dataset.filter);
    drawFormats(this.root, (format) => this.#guarded(() => this.#download(format)));
    document.addEventListener('vx:step', (event) => {
      this.player.stop();
      if (event.detail.step === STEP) this.#enter();
      else this.#say('');
    });
    document.addEventListener('vx:changed', () => {
      if (this.#own) return;
      if (at() === STEP) this.#guarded(() => this.refresh());
      else this.#old = true;
    });
    if (at() === STEP) this.#enter();
  }

  #enter() {
    this.#order.clear();
    this.#settled.clear();
    if (this.data && !this.#old) this.#paint();
    this.#guarded(() => this.refresh());
  }

  async refresh() {
    try {
      const [data, phrases] = await Promise.all([api.json('dataset'), readable()]);
      this.#readable = phrases;
      this.#take(data);
    } catch (error) {
      if (this.data) throw error;
      this.root.dataset.state = 'failed';
      put(this.find('failed').firstElementChild, [error.message, error.hint].filter(Boolean).join(' '));
    }
  }

  #take(data) {
    this.data = data;
    this.#old = false;
    this.#paint();
  }

  /** What fails is said in words; the page stays as it is. @param {() => Promise<void> | void} call */
  async #guarded(call) {
    try {
      await call();
    } catch (error) {
      this.#say([error.message, error.hint].filter(Boolean).join(' '), null, 'bad');
    }
  }

  #paint() {
    const {data} = this;
    const empty = !data.rows.length && (!data.made || data.trash.length > 0);
    this.root.dataset.state = empty ? 'empty' : 'ready';
    put(this.find('empty-title'), t(data.trash.length ? 'dataset.empty_trash' : 'dataset.empty'));
    paintHead(this.root, data);
    this.#paintRows();
    this.#paintTrash();
  }

  #paintRows() {
    const {data} = this;
    const bad = data.rows.filter(isBad);
    for (const row of bad) this.#settled.delete(groupOf(row));
    const rows = this.#order.of(data.rows).filter((row) => this.#filter === 'all' || isBad(row) || this.#settled.has(groupOf(row)));
    const list = this.find('rows');
    const items = new Map([...list.children].map((item) => [item.dataset.group, item]));
    for (const [place, row] of rows.entries()) {
      const item = items.get(groupOf(row)) ?? newRow(groupOf(row));
      items.delete(groupOf(row));
      if (list.children[place] !== item) list.insertBefore(item, list.children[place] ?? null);
      paintRow(item, row, data.made, this.#readable.has(row.phrase));
    }
    for (const item of items.values()) item.remove();
    this.find('filter').hidden = !data.rows.length;
    this.find('none').hidden = this.#filter === 'all' || rows.length > 0;
    for (const button of this.root.querySelectorAll('[data-filter]')) {
      const name = button.dataset.filter;
      button.setAttribute('aria-pressed', String(name === this.#filter));
      put(button, t(`dataset.filter.${name}`, {n: name === 'all' ? data.rows.length : bad.length}));
    }
    this.#paintPlayer(this.player.playing, 0);
  }

  #paintTrash() {
    const box = this.find('trash');
    box.hidden = !this.data.trash.length;
    put(box.querySelector('summary'), t('dataset.trashed', {n: this.data.trash.length}));
    box.querySelector('ul').replaceChildren(...this.data.trash.map(trashedRow));
  }

  /** @param {string} key @param {number} share */
  #paintPlayer(key, share) {
    for (const item of this.root.querySelectorAll('li[data-take]')) {
      const playing = item.dataset.take === key;
      if (!playing && item.firstElementChild.dataset.icon === 'play') continue;
      paintPlaying(item, playing, share, this.#row(item.dataset.take)?.text ?? '');
    }
  }

  /** @param {string} take */
  #row(take) {
    return this.data.rows.find((row) => row.take === take) ?? this.data.trash.find((row) => row.take === take);
  }

  /** @param {string} filter */
  #show(filter) {
    this.#filter = filter;
    this.#settled.clear();
    this.#paintRows();
  }

  /** @param {HTMLButtonElement | null} button */
  async #onRow(button) {
    const item = button?.closest('li');
    const row = item && this.#row(item.dataset.take);
    if (!row) return;
    if (button.classList.contains('vx-dataset-play')) await this.#play(row);
    else if (button.classList.contains('vx-dataset-text')) edit(button, row.text, (text) => this.#correct(row, text));
    else if (button.classList.contains('vx-dataset-accept')) await this.#accept(row, item);
    else if (button.classList.contains('vx-dataset-trash-it')) await this.#leaveOut(row);
    else if (button.classList.contains('vx-dataset-again')) {
      document.dispatchEvent(new CustomEvent('vx:record', {detail: {phrase: row.phrase}}));
      go('recordings');
    }
  }

  /** @param {HTMLButtonElement | null} button */
  async #onTrashed(button) {
    const row = button && this.#row(button.closest('li').dataset.take);
    if (!row) return;
    if (button.classList.contains('vx-dataset-play')) return this.#play(row);
    await this.#change(row.take, 'restore');
    const counts = this.data.rows.some((each) => each.take === row.take);
    this.#say(t(counts ? 'dataset.said.restored' : 'dataset.said.restored_older'));
  }

  #play(row) {
    return this.player.toggle(row.take, async () => {
      const answer = await api(`takes/${row.take}/audio`);
      if (!answer.ok) throw new Error((await answer.json().catch(() => null))?.error ?? t('page.no_answer'));
      return answer.blob();
    });
  }

  /** One change on the server, and what is there after it. */
  async #change(take, change, body = {}) {
    await api.json(`takes/${take}/${change}`, {method: 'POST', body});
    await this.refresh();
    this.#tell('takes');
  }

  /** @param {'takes' | 'dataset'} what */
  #tell(what) {
    this.#own = true; // dispatching is synchronous, so this marks just our own event
    changed(what);
    this.#own = false;
  }

  async #correct(row, text) {
    await this.#change(row.take, 'text', {text});
    this.#say(t('dataset.said.text'), () => this.#change(row.take, 'text', {text: row.text}));
  }

  async #accept(row, item) {
    this.#settled.add(groupOf(row));
    await this.#change(row.take, 'accept');
    this.#say(t('dataset.said.accepted'));
    item.querySelector('.vx-dataset-text').focus({preventScroll: true});
  }

  async #leaveOut(row) {
    if (this.player.playing === row.take) this.player.stop();
    await this.#change(row.take, 'trash');
    const before = this.data.rows.some((each) => groupOf(each) === groupOf(row));
    this.#say(t(before ? 'dataset.said.trashed_before' : 'dataset.said.trashed'), () => this.#change(row.take, 'restore'));
    this.find('undo').focus({preventScroll: true});
  }

  async #make() {
    const button = this.find('make');
    if (button.getAttribute('aria-busy') === 'true') return;
    button.setAttribute('aria-busy', 'true');
    put(button, t('dataset.making'));
    try {
      this.#take(await api.json('dataset', {method: 'POST', body: {}, signal: AbortSignal.timeout(PACKING_MS)}));
    } finally {
      button.removeAttribute('aria-busy');
      if (this.data) paintHead(this.root, this.data);
    }
    this.#say(t('dataset.made', {n: this.data.num_clips}));
    this.find('download').focus({preventScroll: true});
    this.#tell('dataset');
    this.tellPython();
  }

  /** @param {string} format */
  async #download(format) {
    const list = this.find('formats');
    if (list.getAttribute('aria-busy') === 'true') return;
    list.setAttribute('aria-busy', 'true');
    this.#say(t('dataset.packing'));
    try {
      const {url} = await api.json('dataset/ticket', {method: 'POST', body: {format}, signal: AbortSignal.timeout(PACKING_MS)});
      const link = document.createElement('a');
      link.href = new URL(url, document.baseURI).href;
      link.download = '';
      link.click();
      this.#say(t('dataset.packed'));
      toggleFormats(this.root, false);
    } finally {
      list.removeAttribute('aria-busy');
    }
  }

  async #runUndo() {
    const undo = this.#undo;
    this.#undo = null;
    await undo?.();
    this.#say(t('dataset.said.undone'));
  }

  /** @param {string} text '' to say nothing any more @param {(() => Promise<void>) | null} undo @param {'info' | 'bad'} kind */
  #say(text, undo = null, kind = 'info') {
    const box = this.find('said');
    this.#undo = undo;
    box.hidden = !text;
    box.dataset.kind = kind;
    put(box.firstElementChild, text);
    if (text) announce(text);
    this.find('undo').hidden = !undo;
  }
}
