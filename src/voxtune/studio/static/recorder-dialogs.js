/** Two small dialogs: the help on keys, and the reasons for skipping a sentence. */

import {t} from './studio.js';

const KEYS = ['Space', 'P', 'R', 'U', 'S', 'N', 'Arrows', 'Esc', '?'];
export const REASONS = ['hard', 'language', 'offensive', 'wrong', 'other'];

/** The help on keys. @param {HTMLDialogElement} dialog @returns {() => void} shows it */
export function keyHelp(dialog) {
  const list = dialog.querySelector('dl');
  for (const name of KEYS) {
    const key = document.createElement('kbd');
    key.textContent = name === 'Arrows' ? '← → ↑ ↓' : name.length > 1 ? t(`key.${name}`) : name;
    const term = document.createElement('dt');
    term.append(key);
    list.append(term, Object.assign(document.createElement('dd'), {textContent: t(`keys.${name === '?' ? 'help' : name}`)}));
  }
  closable(dialog);
  return () => dialog.showModal();
}

/** The reasons for skipping. @param {HTMLDialogElement} dialog @param {(reason: string) => void} onReason @returns {() => void} shows it */
export function skipReasons(dialog, onReason) {
  const place = dialog.querySelector('div');
  for (const [i, reason] of REASONS.entries()) {
    const button = document.createElement('button');
    button.type = 'button';
    button.dataset.reason = reason;
    button.append(Object.assign(document.createElement('kbd'), {textContent: String(i + 1), ariaHidden: 'true'}), t(`skip.${reason}`));
    button.onclick = () => choose(reason);
    place.append(button);
  }
  const choose = (reason) => {
    dialog.close();
    onReason(reason);
  };
  dialog.addEventListener('keydown', (event) => {
    const buttons = [...place.children];
    if (REASONS[event.key - 1]) choose(REASONS[event.key - 1]);
    const step = {ArrowDown: 1, ArrowUp: -1}[event.key];
    if (step) {
      event.preventDefault();
      const at = buttons.indexOf(document.activeElement);
      buttons[(at + step + buttons.length) % buttons.length].focus();
    }
  });
  closable(dialog);
  return () => {
    dialog.showModal();
    place.firstElementChild.focus();
  };
}

/** Its button and a click beside it close it. @param {HTMLDialogElement} dialog */
function closable(dialog) {
  dialog.querySelector('.vx-recorder-close').onclick = () => dialog.close();
  dialog.addEventListener('click', (event) => event.target === dialog && dialog.close());
}
