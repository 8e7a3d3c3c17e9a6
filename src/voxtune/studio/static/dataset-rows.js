/** The recordings as a list: what is drawn of each, and which of them are shown. */

import {number} from './run-figures.js';
import {ApiError, api, t} from './studio.js';

/**
 * @typedef {{take: string, phrase: string, text: string, seconds: number, problems: string[], accepted: boolean, split: string | null,
 *   source: string, language: string, trashed: boolean, takes: number}} Row
 */

const ICONS = {
  play: 'M8 5v14l11-7z',
  stop: 'M7 7h10v10H7z',
  trash: 'M5 7h14M10 7V5h4v2m-7 0 1 13h8l1-13',
};

/** Takes of one sentence are one row, whichever of them counts. @param {Row} row */
export const groupOf = (row) => (row.source === 'studio' ? row.phrase + row.language : row.take);

/** @param {Row} row */
export const isBad = (row) => row.problems.length > 0 && !row.accepted;

/** @param {string} tag @param {string} name @param {string} [text] @returns {HTMLElement} */
export function make(tag, name, text = '') {
  const element = document.createElement(tag);
  element.className = `vx-dataset-${name}`;
  if (tag === 'button') element.type = 'button';
  if (text) element.textContent = text;
  return element;
}

/** @param {HTMLElement} button @param {keyof ICONS} icon @param {string} label */
function paintIcon(button, icon, label) {
  if (button.getAttribute('aria-label') === label && button.dataset.icon === icon) return;
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  const path = document.createElementNS('http://www.w3.org/2000/svg', 'path');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('aria-hidden', 'true');
  path.setAttribute('d', ICONS[icon]);
  svg.append(path);
  button.dataset.icon = icon;
  button.setAttribute('aria-label', label);
  button.replaceChildren(svg);
}

/** A row that is there from now on; what is in it comes with `paintRow`. @param {string} group */
export function newRow(group) {
  const item = make('li', 'row');
  item.dataset.group = group;
  const main = make('div', 'main');
  main.append(make('button', 'text'));
  item.append(make('button', 'play'), main, make('div', 'facts'), make('button', 'trash-it'), make('div', 'problems'));
  return item;
}

/**
 * Draws what a row is now; an editor that is open in it stays.
 * @param {HTMLElement} item @param {Row} row @param {boolean} made whether there is a dataset at all
 * @param {boolean} readable whether its sentence is among those that the recorder shows
 */
export function paintRow(item, row, made, readable) {
  const [play, main, facts, trash, problems] = item.children;
  const text = main.firstElementChild;
  item.dataset.take = row.take;
  item.dataset.state = isBad(row) ? 'problem' : row.problems.length ? 'accepted' : 'good';
  paintIcon(play, 'play', t('dataset.play', {text: row.text}));
  paintIcon(trash, 'trash', t('dataset.trash_label', {text: row.text}));
  trash.title = t('dataset.trash');
  text.textContent = row.text;
  Object.assign(text, {lang: row.language, dir: 'auto', translate: false, title: t('dataset.edit_title')});
  text.setAttribute('aria-label', t('dataset.edit', {text: row.text}));
  paintProblems(problems, row, readable);
  const parts = [];
  if (row.takes > 1) parts.push(make('span', 'chip', t('dataset.takes', {n: row.takes})));
  if (row.source === 'upload') parts.push(make('span', 'chip', t('dataset.uploaded')));
  if (made) {
    const side = row.split ?? 'new';
    const chip = make('span', 'chip', t(`dataset.split.${side}`));
    chip.dataset.side = side;
    chip.title = t(`dataset.split.${side}_title`);
    parts.push(chip);
  }
  parts.push(seconds(row));
  facts.replaceChildren(...parts);
}

/** @param {HTMLElement} box @param {Row} row @param {boolean} readable */
function paintProblems(box, row, readable) {
  const drawn = [row.take, row.problems, row.accepted, readable].join();
  if (box.dataset.drawn === drawn) return; // the focus may be in it
  box.dataset.drawn = drawn;
  box.hidden = !row.problems.length;
  if (!row.problems.length) return box.replaceChildren();
  const names = make('p', 'names');
  for (const code of row.problems) names.append(make('span', 'problem', t(`verdict.${code}.short`)));
  if (row.accepted) {
    names.append(make('span', 'kept', t('dataset.accepted')));
    return box.replaceChildren(names);
  }
  const acts = make('p', 'fixes');
  if (readable && row.source === 'studio') acts.append(make('button', 'again', t('dataset.again')));
  acts.append(make('button', 'accept', t('dataset.accept')));
  return box.replaceChildren(names, make('p', 'advice', t(`verdict.${row.problems[0]}`)), acts);
}

/** @param {HTMLElement} item @param {boolean} playing @param {number} share @param {string} text */
export function paintPlaying(item, playing, share, text) {
  const play = item.firstElementChild;
  paintIcon(play, playing ? 'stop' : 'play', t(playing ? 'dataset.stop' : 'dataset.play', {text}));
  play.style.setProperty('--done', String(share));
}

/** @param {Row} row */
const seconds = (row) => make('span', 'seconds', t('dataset.seconds', {n: number(row.seconds, 1, 1)}));

/** A recording that was left out. @param {Row} row */
export function trashedRow(row) {
  const item = make('li', 'trashed');
  item.dataset.take = row.take;
  const play = make('button', 'play');
  paintIcon(play, 'play', t('dataset.play', {text: row.text}));
  const text = make('span', 'gone', row.text);
  Object.assign(text, {lang: row.language, dir: 'auto', translate: false});
  const restore = make('button', 'restore', t('dataset.restore'));
  restore.setAttribute('aria-label', t('dataset.restore_label', {text: row.text}));
  item.append(play, text, seconds(row), restore);
  return item;
}

/** In which order rows stand while one looks at them: worst first at first, and then none jumps away under the hand. */
export class Order {
  /** @type {string[]} */
  #groups = [];

  clear() {
    this.#groups = [];
  }

  /** @param {Row[]} rows as the server orders them @returns {Row[]} */
  of(rows) {
    for (const [place, row] of rows.entries()) {
      if (this.#groups.includes(groupOf(row))) continue;
      const before = place ? this.#groups.indexOf(groupOf(rows[place - 1])) : -1;
      this.#groups.splice(before + 1, 0, groupOf(row));
    }
    const places = new Map(this.#groups.map((group, place) => [group, place]));
    return [...rows].sort((one, other) => places.get(groupOf(one)) - places.get(groupOf(other)));
  }
}

/** The sentences that can be recorded now; none before a language was chosen. @returns {Promise<Set<string>>} */
export async function readable() {
  try {
    return new Set((await api.json('reading')).rows.map((row) => row.phrase));
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return new Set();
  }
}
