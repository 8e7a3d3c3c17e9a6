/** What happens around the recorder: the step is left, the tab hidden, another tab changes something, the page is about to close. */

import {changed} from './studio.js';

const STEP = 'recordings';

/**
 * @param {HTMLElement} root
 * @param {object} on
 * @param {() => void} on.leave     the recorder is not seen any more: the microphone must go off
 * @param {() => void} on.enter     it is seen again
 * @param {() => void} on.changed   takes or sentences are otherwise on the server, or may be: who comes back has seen nothing of other browsers
 * @param {() => void} on.online    the network is back
 * @param {() => boolean} on.wouldLose   whether closing the page now would lose something
 * @returns {() => void} tells the other parts, and the other tabs, that takes have changed
 */
export function watchPage(root, on) {
  let own = false;
  let seen = isSeen(root);
  const look = (now) => {
    if (now === seen) return;
    seen = now;
    if (now) on.enter();
    else on.leave();
  };
  document.addEventListener('vx:step', (event) => look(event.detail.step === STEP && isSeen(root)));
  document.addEventListener('visibilitychange', () => look(isSeen(root)));
  new ResizeObserver(() => look(isSeen(root))).observe(root); // also when something else hides it
  document.addEventListener('vx:changed', ({detail}) => {
    if (!own && (detail?.what === 'takes' || detail?.what === 'reading')) on.changed();
  });
  window.addEventListener('focus', () => on.changed());
  window.addEventListener('online', on.online);
  window.addEventListener('pagehide', () => look(false));
  window.addEventListener('pageshow', () => look(isSeen(root)));
  window.addEventListener('beforeunload', (event) => {
    if (on.wouldLose()) event.preventDefault();
  });
  return () => {
    own = true; // dispatching is synchronous, so this marks just our own event
    changed('takes');
    own = false;
  };
}

/** @param {HTMLElement} root */
export const isSeen = (root) => !document.hidden && root.offsetParent !== null;
