/** What the status says: for each situation its kind, its words and its offers. */

import {isRefusal} from './outbox.js';
import {isGood} from './recorder-reading.js';
import {t} from './studio.js';

const TOUCH = matchMedia('(pointer: coarse)').matches;
const WAYS = {insecure: 3, blocked: 2}; // how many pieces of advice there are

/** @typedef {{kind: 'info'|'good'|'warn'|'bad'|'recording'|'busy', text: string, more?: string[]}} Saying */

/** A sentence that waits to be read. @param {string} mode @returns {Saying} */
export function toDo(mode) {
  if (mode !== 'ready') return {kind: 'info', text: t('say.turn_on')};
  return {kind: 'info', text: t(TOUCH ? 'say.ready_touch' : 'say.ready')};
}

/** @returns {Saying} */
export const recording = () => ({kind: 'recording', text: t(TOUCH ? 'say.recording_touch' : 'say.recording')});

/** @returns {Saying} */
export const opening = () => ({kind: 'busy', text: t('say.opening')});

/** @returns {Saying} */
export const saving = () => ({kind: 'busy', text: t('say.saving')});

/** What the server thinks of a take. @param {import('./recorder-reading.js').SavedTake} take @returns {Saying} */
export function verdict(take) {
  if (take.accepted && take.problems.length) return {kind: 'good', text: t('verdict.accepted')};
  if (isGood(take)) return {kind: 'good', text: t('verdict.good')};
  const [worst, ...others] = take.problems.map((code) => t(`verdict.${code}`));
  return {kind: 'warn', text: worst, more: others};
}

/** A take that is not on the server. @param {{status: number, body: any} | undefined} answer @param {boolean} safe @returns {Saying} */
export function kept(answer, safe) {
  const reason = answer?.status ? [answer.body?.error, answer.body?.hint].filter(Boolean).join(' ') : t('say.no_answer');
  const text = isRefusal(answer) ? t('say.refused') : t(safe ? 'say.kept' : 'say.kept_in_memory');
  return {kind: 'warn', text, more: reason ? [reason] : []};
}

/** Why there is no microphone, and what to do. @param {string} code @returns {Saying} */
export function trouble(code) {
  const places = {origin: location.origin, local: `http://localhost${location.port ? `:${location.port}` : ''}`, port: location.port || '80'};
  const ways = Array.from({length: WAYS[code] ?? 0}, (_, i) => t(`mic.${code}.way${i + 1}`, places));
  return {kind: 'bad', text: t(`mic.${code}`), more: ways};
}

/** A call that failed. @param {{message: string, hint?: string}} error @returns {Saying} */
export const failure = (error) => ({kind: 'bad', text: [error.message, error.hint].filter(Boolean).join(' ')});
