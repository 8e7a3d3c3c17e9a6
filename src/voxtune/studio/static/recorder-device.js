/** The choice of a microphone, where there is more than one. It is remembered. */

import {microphones} from './microphone.js';
import {remember, remembered} from './recorder-memory.js';
import {t} from './studio.js';

/** The microphone chosen last, or ''. */
export const chosenDevice = () => remembered('microphone', '');

/**
 * Fills the choice anew; call it when the microphone was opened, and when devices come or go.
 * @param {HTMLElement} place @param {string} deviceId the one that listens
 */
export async function paintDevices(place, deviceId) {
  const found = await microphones();
  const select = place.querySelector('select');
  select.replaceChildren(...found.map(({id, label: name}, i) => new Option(name || t('recorder.microphone_n', {n: i + 1}), id, false, id === deviceId)));
  place.hidden = found.length < 2 || !deviceId;
}

/** @param {HTMLElement} place @param {() => void} onChoice @param {() => void} onDevices */
export function watchDevices(place, onChoice, onDevices) {
  place.querySelector('select').onchange = (event) => {
    remember('microphone', event.target.value);
    onChoice();
  };
  navigator.mediaDevices?.addEventListener?.('devicechange', onDevices);
}
