/** The list of all sentences: one button a row, only the current one in the tab order. */

import {number} from './run-figures.js';
import {t} from './studio.js';

const MARKS = {todo: '', good: '✓', advice: '!', sending: '↑', kept: '↑', refused: '!', recording: '●'};

/** @typedef {'todo' | 'good' | 'advice' | 'sending' | 'kept' | 'refused' | 'recording'} RowState */

export class Rows {
  /** @param {HTMLOListElement} list @param {(place: number) => void} onSelect */
  constructor(list, onSelect) {
    this.list = list;
    list.addEventListener('click', (event) => {
      const item = event.target.closest('li');
      if (item) onSelect([...list.children].indexOf(item));
    });
  }

  /**
   * Draws every row; rows that are there already are kept, and so is the focus.
   * @param {import('./recorder-reading.js').Reading} reading
   * @param {(row: import('./recorder-reading.js').Row) => {state: RowState, note: string}} stateOf
   */
  paint(reading, stateOf) {
    while (this.list.children.length > reading.rows.length) this.list.lastElementChild.remove();
    for (const [place, row] of reading.rows.entries()) {
      const item = this.list.children[place] ?? this.list.appendChild(newItem(place));
      const button = item.firstElementChild;
      const [, mark, text, note] = button.children;
      const {state, note: words} = stateOf(row);
      const current = place === reading.index;
      item.dataset.state = state;
      item.dataset.phrase = row.phrase;
      button.tabIndex = current ? 0 : -1;
      if (current) button.setAttribute('aria-current', 'true');
      else button.removeAttribute('aria-current');
      put(mark, MARKS[state]);
      put(text, row.text);
      put(note, words);
      text.lang = reading.now.language;
      text.dir = reading.now.dir;
    }
  }

  /** @param {number} place */
  focus(place) {
    const button = this.list.children[place].firstElementChild;
    button.focus({preventScroll: true});
    button.scrollIntoView({block: 'nearest'});
  }

  get hasFocus() {
    return this.list.contains(document.activeElement);
  }
}

/** @param {number} place */
function newItem(place) {
  const item = document.createElement('li');
  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'vx-recorder-row';
  for (const name of ['number', 'badge', 'text', 'note']) {
    const part = document.createElement('span');
    part.className = `vx-recorder-${name}`;
    button.append(part);
  }
  button.children[0].textContent = String(place + 1);
  button.children[1].setAttribute('aria-hidden', 'true');
  button.children[2].translate = false;
  item.append(button);
  return item;
}

/** Writes only what is otherwise, so that a hundred rows cost nothing. @param {Element} element @param {string} text */
function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** The short name of what is said against a take. @param {import('./recorder-reading.js').SavedTake} take */
export function takeNote(take) {
  const seconds = t('recorder.seconds', {n: number(take.seconds, 1, 1)});
  if (take.accepted && take.problems.length) return `${t('row.accepted')} · ${seconds}`;
  return `${take.problems.length ? t(`verdict.${take.problems[0]}.short`) : t('row.good')} · ${seconds}`;
}
