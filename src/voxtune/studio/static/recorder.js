/**
 * The recorder: sentences are read aloud into takes. Its parts: microphone, tape, capture-worklet, recorder-booth (sound in, takes out); wav, outbox,
 * recorder-saving (takes to the server, none lost); recorder-reading (the list); recorder-view, -stage, -rows, -dialogs, -sayings, meter (what is seen);
 * recorder-desk, -takes (what can be done); recorder-keys, -page, -device (where it comes from).
 *
 * For tests, stable names: .vx-recorder[data-mode=loading|empty|off|opening|ready|recording|ending], .vx-recorder-phrase, .vx-recorder-status,
 * .vx-recorder-say[data-kind=info|good|warn|bad|recording|busy], buttons .vx-recorder-record|play|redo|undo|skip|add|keys|smaller|larger|off (aria-disabled),
 * .vx-recorder-offer-keep|restore|download|drop|add|go, .vx-recorder-waiting, .vx-recorder-elsewhere, .vx-recorder-rows > li[data-state=todo|good|advice|sending|kept|refused|recording][data-phrase],
 * .vx-recorder-reasons [data-reason=hard|language|offensive|wrong|other], .vx-recorder-help, .vx-recorder-meter, .vx-recorder-clock, .vx-recorder-sum,
 * .vx-recorder-slim, .vx-recorder-raw[data-raw=on|off|unknown], .vx-recorder-device select, .vx-recorder-advance input, .vx-recorder-notice;
 * window.vxRecorder = {state(), lastAck: {key, phrase, ms, status}}.
 */

import {watchDevices} from './recorder-device.js';
import {Desk} from './recorder-desk.js';
import {keyHelp, skipReasons} from './recorder-dialogs.js';
import {listen} from './recorder-keys.js';
import {isSeen, watchPage} from './recorder-page.js';
import {ApiError, ready, t, translate} from './studio.js';

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 10_000;

/** @param {HTMLElement} element @param {{trigger?: (event: string) => void}} gradio */
export async function mount(element, gradio = {}) {
  /** @type {HTMLElement} */
  const root = element.querySelector('.vx-recorder');
  await ready();
  translate(root);
  let tellOthers = () => {};
  const desk = new Desk(root, () => {
    tellOthers();
    gradio.trigger?.('progress');
  });
  const {takes, booth} = desk;
  await takes.open();
  wireButtons(root, desk);
  expose(desk);
  await load(desk);
  tellOthers = watchPage(root, {
    leave: () => desk.leave(),
    enter: () => {
      refreshQuietly(desk);
      desk.enter();
    },
    changed: () => refreshQuietly(desk),
    online: () => takes.outbox.flush(),
    wouldLose: () => booth.busy || !takes.outbox.safe,
  });
  document.addEventListener('vx:record', async ({detail: {phrase}}) => {
    if (desk.reading.place(phrase) < 0) await refreshQuietly(desk); // another tab may have brought the sentence
    desk.select(desk.reading.place(phrase));
  });
  takes.outbox.flush();
}

/** The first list; asked for until it comes. @param {Desk} desk */
async function load(desk) {
  const {stage} = desk.view;
  for (let wait = FIRST_WAIT_MS; !desk.reading.loaded; wait = Math.min(2 * wait, LONGEST_WAIT_MS)) {
    try {
      await desk.refresh();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      const chosenLater = error.status >= 400 && error.status < 500; // no language yet: the list comes with vx:changed
      const text = chosenLater ? [error.message, error.hint].filter(Boolean).join(' ') : t('say.no_server');
      await new Promise((resolve) => {
        const again = () => resolve(undefined);
        stage.notice(text, {label: t('recorder.retry'), run: again});
        document.addEventListener('vx:changed', again, {once: true});
        document.addEventListener('vx:step', again, {once: true});
        if (!chosenLater) setTimeout(again, wait);
      });
    }
  }
}

/** The server's truth, when it can be had: a page that is being looked at again has seen nothing of other tabs. @param {Desk} desk */
async function refreshQuietly(desk) {
  try {
    await desk.takes.outbox.load();
    await desk.refresh();
    await desk.takes.outbox.flush();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error; // no answer: what is shown stays, and unsent takes say so themselves
  }
}

/** @param {HTMLElement} root @param {Desk} desk */
function wireButtons(root, desk) {
  const find = (name) => root.querySelector(`.vx-recorder-${name}`);
  const showKeys = keyHelp(find('help'));
  const showReasons = skipReasons(find('reasons'), (reason) => desk.skip(reason));
  const skip = () => {
    if (desk.takes.skippable && !desk.booth.busy) showReasons();
  };
  const buttons = {
    record: () => desk.toggle(),
    play: () => desk.takes.play(),
    redo: () => desk.redo(),
    undo: () => desk.takes.undo(),
    skip,
    add: () => desk.add(),
    off: () => desk.turnOff(),
    keys: showKeys,
  };
  for (const [name, run] of Object.entries(buttons)) {
    find(name).addEventListener('click', (event) => {
      if (event.currentTarget.getAttribute('aria-disabled') === 'true') return;
      run();
      // After a click the focus goes to Record, so that Space records; who uses the keyboard stays where they are.
      if (event.detail > 0 && !document.querySelector('dialog[open]')) desk.view.stage.focusRecord();
    });
  }
  const advance = find('advance').querySelector('input');
  advance.checked = desk.advance;
  advance.onchange = () => (desk.advance = advance.checked);
  watchDevices(find('device'), () => desk.changeDevice(), () => desk.paintDevices());
  listen(root, () => isSeen(root), {
    Space: buttons.record,
    P: buttons.play,
    R: buttons.redo,
    U: buttons.undo,
    S: skip,
    N: () => desk.move(1),
    ArrowDown: () => desk.move(1),
    ArrowRight: () => desk.move(1),
    ArrowUp: () => desk.move(-1),
    ArrowLeft: () => desk.move(-1),
    Escape: () => desk.discard(),
    '?': showKeys,
  });
}

/** Facts for tests and for the curious; nothing can be changed through it. @param {Desk} desk */
function expose({booth, reading, takes}) {
  window.vxRecorder = Object.freeze({
    get lastAck() {
      return takes.saving.lastAck;
    },
    state: () => ({
      mode: booth.mode,
      phrase: reading.current?.phrase ?? '',
      place: reading.index,
      rows: reading.rows.length,
      pending: takes.outbox.items.size,
      safe: takes.outbox.safe,
      microphone: booth.microphone && {...booth.microphone.facts, raw: booth.microphone.raw},
      seconds: booth.tape?.seconds ?? 0,
    }),
  });
}
