/** A text that is corrected where it stands: Enter or leaving it saves, Escape leaves it as it was. */

import {t} from './studio.js';

/**
 * Puts an editor in the place of a text until it is done.
 * @param {HTMLElement} shown what is clicked to edit; hidden meanwhile
 * @param {string} text
 * @param {(text: string) => Promise<void>} save rejects with words of why not
 */
export function edit(shown, text, save) {
  const box = document.createElement('div');
  box.className = 'vx-dataset-editor';
  const area = document.createElement('textarea');
  const note = document.createElement('p');
  Object.assign(area, {value: text, rows: 1, lang: shown.lang, dir: 'auto', translate: false, spellcheck: true});
  area.setAttribute('aria-label', t('dataset.editing'));
  note.textContent = t('dataset.editing');
  box.append(area, note);
  shown.hidden = true;
  shown.after(box);
  let done = false;

  const fit = () => {
    area.style.blockSize = 'auto';
    area.style.blockSize = area.scrollHeight + 2 + 'px';
  };
  /** @param {boolean} focus */
  const close = (focus) => {
    done = true;
    box.remove();
    shown.hidden = false;
    if (focus) shown.focus();
  };
  /** @param {boolean} focus whether the focus shall go back to the text */
  const finish = async (focus) => {
    const said = area.value.split(/\s+/).filter(Boolean).join(' ');
    if (done) return;
    if (said === text || (!said && !focus)) {
      close(focus);
      return;
    }
    done = true;
    area.readOnly = true;
    try {
      await save(said);
      close(focus);
    } catch (error) {
      done = false;
      area.readOnly = false;
      note.textContent = [error.message, error.hint].filter(Boolean).join(' ');
      note.setAttribute('role', 'alert');
      note.classList.add('bad');
    }
  };
  area.addEventListener('input', fit);
  area.addEventListener('blur', () => finish(false));
  area.addEventListener('keydown', (event) => {
    if (event.isComposing) return; // Enter that ends a word of an input method
    if (event.key === 'Enter') {
      event.preventDefault();
      finish(true);
    } else if (event.key === 'Escape') {
      event.preventDefault();
      event.stopPropagation();
      close(true);
    }
  });
  fit();
  area.focus();
  area.setSelectionRange(text.length, text.length);
}
