/** What happens around the recorder: the step is left, the tab hidden, another tab changes something, the page is about to close. */

const STEP = 'recordings';

/**
 * @param {HTMLElement} root
 * @param {object} on
 * @param {() => void} on.leave     the recorder is not seen any more: the microphone must go off
 * @param {() => void} on.enter     it is seen again
 * @param {(what: string) => void} on.changed   something on the server is otherwise: 'takes' or 'reading'
 * @param {() => void} on.online    the network is back
 * @param {() => boolean} on.wouldLose   whether closing the page now would lose something
 * @returns {() => void} tells the other parts, and the other tabs, that takes have changed
 */
export function watchPage(root, on) {
  const channel = 'BroadcastChannel' in window ? new BroadcastChannel('vx') : null;
  let own = false;
  let seen = isSeen(root);
  const look = (now) => {
    if (now === seen) return;
    seen = now;
    if (now) on.enter();
    else on.leave();
  };
  const tellThisPage = () => {
    own = true; // dispatching is synchronous, so this marks just our own event
    document.dispatchEvent(new CustomEvent('vx:changed', {detail: {what: 'takes'}}));
    own = false;
  };
  document.addEventListener('vx:step', (event) => look(event.detail.step === STEP && isSeen(root)));
  document.addEventListener('visibilitychange', () => look(isSeen(root)));
  new ResizeObserver(() => look(isSeen(root))).observe(root); // also when something else hides it
  document.addEventListener('vx:changed', (event) => {
    const what = event.detail?.what;
    if (!own && (what === 'takes' || what === 'reading')) on.changed(what);
  });
  channel?.addEventListener('message', (event) => {
    if (event.data?.what !== 'takes') return;
    on.changed('takes');
    tellThisPage();
  });
  window.addEventListener('focus', () => on.changed('focus'));
  window.addEventListener('online', on.online);
  window.addEventListener('pagehide', () => look(false));
  window.addEventListener('pageshow', () => look(isSeen(root)));
  window.addEventListener('beforeunload', (event) => {
    if (on.wouldLose()) event.preventDefault();
  });
  return () => {
    channel?.postMessage({what: 'takes'});
    tellThisPage();
  };
}

/** @param {HTMLElement} root */
export const isSeen = (root) => !document.hidden && root.offsetParent !== null;
