/** A button that copies a text, and says that it has. */
import {announce, t} from './studio.js';

const SAID_MS = 2000;

/** @param {HTMLButtonElement} button @param {() => string} text */
export function copied(button, text) {
  button.onclick = async () => {
    try {
      await navigator.clipboard.writeText(text());
    } catch {
      return select(button.previousElementSibling);   // not allowed here: it is marked, to be copied by hand
    }
    button.textContent = t('publishing.copied');
    announce(t('publishing.copied'));
    setTimeout(() => { button.textContent = t('publishing.copy'); }, SAID_MS);
  };
}

function select(element) {
  element.focus();
  getSelection().selectAllChildren(element);
}
