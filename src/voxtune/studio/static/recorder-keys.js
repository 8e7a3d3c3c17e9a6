/** The keyboard: which key does what, and when a key is not ours. */

// Where keys have a meaning of their own.
const FOREIGN = 'input, textarea, select, summary, dialog, audio, video, [contenteditable]:not([contenteditable=false]), [role=tab], [role=dialog], [role=menu], [role=listbox], [role=slider], [role=radio], [role=combobox]';

/**
 * The name of a key that is the same on every keyboard: the letter printed on it, or on keyboards of other scripts the letter in its place.
 * @param {{key: string, code: string}} event
 */
export function keyName({key, code}) {
  if (key === ' ' || code === 'Space') return 'Space';
  if (/^[a-z]$/i.test(key)) return key.toUpperCase();
  const place = /^Key([A-Z])$/.exec(code);
  if (place && /^\p{L}$/u.test(key)) return place[1];
  return key;
}

/**
 * Listens for keys as long as the recorder is in the page.
 * @param {HTMLElement} root @param {() => boolean} isShown @param {Record<string, () => void>} actions by key name
 */
export function listen(root, isShown, actions) {
  const down = (event) => {
    if (!root.isConnected) return stop();
    if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.metaKey || event.altKey || !isShown()) return;
    const name = keyName(event);
    const action = actions[name];
    if (!action || isForeign(event.target, name, root)) return;
    event.preventDefault();
    if (!event.repeat || name.startsWith('Arrow')) action();
  };
  // Firefox presses a button when the key comes up.
  const up = (event) => {
    if (!root.isConnected) return stop();
    if (keyName(event) === 'Space' && isShown() && !isForeign(event.target, 'Space', root)) event.preventDefault();
  };
  const stop = () => {
    document.removeEventListener('keydown', down);
    document.removeEventListener('keyup', up);
  };
  document.addEventListener('keydown', down);
  document.addEventListener('keyup', up);
}

/** @param {EventTarget} target @param {string} name @param {HTMLElement} root */
function isForeign(target, name, root) {
  if (!(target instanceof Element)) return false;
  if (document.querySelector('dialog[open]') || target.closest(FOREIGN)) return true;
  const control = target.closest('button, a[href], [tabindex]:not([tabindex="-1"])');
  if (!control) return false;
  if (!root.contains(control)) return true;
  // Space presses the button that has the focus, except on a row: there it records, as everywhere else.
  return name === 'Space' && !control.matches('.vx-recorder-row, .vx-recorder-record');
}
