/** The head of the dataset step: what there is, whether a dataset is made of it, and how to take it along. */

import {number} from './run-figures.js';
import {t} from './studio.js';
import {isBad, make} from './dataset-rows.js';

const FORMATS = ['voxtune', 'audiofolder', 'ljspeech', 'nemo'];
const SIDES = ['train', 'validation', 'test'];

/** @param {object} data what GET vx/dataset gives @returns {'none' | 'stale' | 'current' | 'imported'} */
export function stateOf(data) {
  if (!data.made) return 'none';
  if (data.stale) return 'stale';
  return data.rows.length ? 'current' : 'imported';
}

/** @param {HTMLElement} root @param {object} data */
export function paintHead(root, data) {
  const find = (name) => root.querySelector(`.vx-dataset-${name}`);
  const state = stateOf(data);
  const bad = data.rows.filter(isBad).length;
  const facts = [data.num_clips === 1 ? t('dataset.sum_one') : t('dataset.sum', {n: data.num_clips}), t('dataset.minutes', {n: number(data.duration_s / 60, 1)})];
  if (data.rows.length) facts.push(bad > 1 ? t('dataset.some_bad', {n: bad}) : bad ? t('dataset.one_bad') : t('dataset.all_good'));
  put(find('sum'), facts.join(' · '));
  paintSides(find('sides'), data);
  const split = data.made && SIDES.some((side) => data.counts[side]);
  find('card').dataset.made = state;
  put(find('mark'), {none: '', stale: '!', current: '✓', imported: '✓'}[state]);
  put(find('title'), state === 'imported' ? t('dataset.state.current') : t(`dataset.state.${state}`));
  put(find('hint'), state === 'current' && !split ? t('dataset.state.few') : t(state === 'imported' ? 'dataset.state.imported' : `dataset.state.${state}_hint`));
  const button = find('make');
  button.hidden = state === 'current' || state === 'imported';
  if (button.getAttribute('aria-busy') !== 'true') put(button, t(state === 'none' ? 'dataset.create' : 'dataset.update'));
  find('download').hidden = find('publish').hidden = !data.made;
  if (!data.made) toggleFormats(root, false);
}

/** @param {HTMLElement} box @param {object} data */
function paintSides(box, data) {
  const all = SIDES.reduce((sum, side) => sum + data.counts[side], 0);
  box.hidden = !data.made || !all;
  for (const bar of box.querySelectorAll('i')) bar.style.flexGrow = String(data.counts[bar.dataset.side]);
  if (all) put(box.querySelector('p'), t('dataset.counts', data.counts));
}

/** The four forms, each with a line of what it is for. @param {HTMLElement} root @param {(format: string) => void} onChoose */
export function drawFormats(root, onChoose) {
  const list = root.querySelector('.vx-dataset-formats');
  for (const format of FORMATS) {
    const button = make('button', 'format');
    button.dataset.format = format;
    button.append(make('b', 'format-name', t(`dataset.format.${format}`)), make('span', 'format-about', t(`dataset.format.${format}.about`)));
    button.onclick = () => onChoose(format);
    const item = document.createElement('li');
    item.append(button);
    list.append(item);
  }
  const opener = root.querySelector('.vx-dataset-download');
  opener.onclick = () => toggleFormats(root, list.hidden);
  list.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape') return;
    toggleFormats(root, false);
    opener.focus();
  });
}

/** @param {HTMLElement} root @param {boolean} open */
export function toggleFormats(root, open) {
  root.querySelector('.vx-dataset-formats').hidden = !open;
  root.querySelector('.vx-dataset-download').setAttribute('aria-expanded', String(open));
}

/** @param {Element} element @param {string} text */
export function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
