/** What all parts of the page share: the key, the words, calls to the server, the step that is shown. */

export class ApiError extends Error {
  /** @param {number} status 0 when there was no answer */
  constructor(status, message, hint = '', body = null) {
    super(message);
    Object.assign(this, {status, hint, body});
  }
}

const TIMEOUT_MS = 20_000;
const base = new URL('vx/', document.baseURI.replace(/[?#].*$/, ''));

let words = {};
let openWords;
const wordsThere = new Promise(resolve => { openWords = resolve; });
let key = '';
let roomNow = '';
let openKey;
const keyThere = new Promise(resolve => { openKey = resolve; });

async function loadWords() {
  for (let wait = 250; ; wait = Math.min(wait * 2, 4000)) {
    try {
      const answer = await fetch(new URL('words', base), {signal: AbortSignal.timeout(TIMEOUT_MS)});
      const found = await answer.json();
      words = found.words;
      document.documentElement.lang = found.language;
      return openWords();
    } catch {
      await new Promise(resolve => setTimeout(resolve, wait));
    }
  }
}
loadWords();

/** Resolves when the words and the page's key are there. */
export const ready = () => Promise.all([wordsThere, keyThere]);

/** The key that the server handed to this page, and the id of the workspace that it opens. */
export function setKey(value, itsRoom) {
  if (!value) return;
  key = value;
  if (itsRoom) roomNow = itsRoom;
  openKey();
}

/** The id of the workspace that this page shows, or '' where the server did not say. */
export const room = () => roomNow;

/** The words of a key in the visitor's language, with `{name}` filled in. */
export const t = (name, values = {}) => (words[name] ?? name).replace(/\{(\w+)\}/g, (all, each) => (each in values ? String(values[each]) : all));

/** Fill every element that names its words: data-t (text), data-t-label (aria-label), data-t-placeholder, data-t-title. */
export function translate(element) {
  for (const each of element.querySelectorAll('[data-t]')) each.textContent = t(each.dataset.t);
  for (const each of element.querySelectorAll('[data-t-label]')) each.setAttribute('aria-label', t(each.dataset.tLabel));
  for (const each of element.querySelectorAll('[data-t-placeholder]')) each.setAttribute('placeholder', t(each.dataset.tPlaceholder));
  for (const each of element.querySelectorAll('[data-t-title]')) each.setAttribute('title', t(each.dataset.tTitle));
}

/** Call the server: resolves to its Response whatever the status, rejects when there was no answer. */
export function api(path, options = {}) {
  const headers = {'X-Vx-Key': key, ...options.headers};
  return fetch(new URL(path, base), {signal: AbortSignal.timeout(TIMEOUT_MS), ...options, headers});
}

/** The JSON that the server answers; an ApiError where it refuses or is not there. `body` of options may be a plain object. */
api.json = async (path, options = {}) => {
  const sent = options.body && Object.getPrototypeOf(options.body) === Object.prototype
    ? {...options, body: JSON.stringify(options.body), headers: {'Content-Type': 'application/json', ...options.headers}} : options;
  let answer;
  try {
    answer = await api(path, sent);
  } catch {
    throw new ApiError(0, t('page.no_answer'), t('page.no_answer_hint'));
  }
  const body = await answer.json().catch(() => null);
  if (!answer.ok) throw new ApiError(answer.status, body?.error ?? t('page.no_answer'), body?.hint ?? '', body);
  return body;
};

/** Fill a part of the page: its template and its module, by their name. */
export async function island(name, element, gradio) {
  try {
    const [template, part] = await Promise.all([fetch(new URL(name + '.html', import.meta.url)).then(answer => answer.text()), import('./' + name + '.js')]);
    element.innerHTML = template;
    await part.mount(element, gradio);
  } catch (error) {
    element.textContent = 'This part of the page could not be loaded: ' + error.message;
    throw error;
  }
}

/** Say something to who cannot see the page. */
export function announce(text) {
  const region = document.getElementById('vx-live');
  if (!region) return;
  region.textContent = '';
  setTimeout(() => { region.textContent = text; }, 50);
}

export const STEPS = ['language', 'phrases', 'recordings', 'dataset', 'training', 'evaluation', 'publishing'];

/** The step that is shown. */
export const at = () => document.body.dataset.vxStep || STEPS[0];

/** Ask for a step; the bar of steps says whether it is open. */
export const go = step => document.dispatchEvent(new CustomEvent('vx:go', {detail: {step}}));

/** Tell all parts of this page, and the studio's pages in other tabs of this browser, that something on the server is otherwise now. */
export function changed(what) {
  document.dispatchEvent(new CustomEvent('vx:changed', {detail: {what}}));
}

// What changes here is told to the other pages, whichever part of this one says so; what they tell goes no further than this page.
const others = 'BroadcastChannel' in globalThis ? new BroadcastChannel('vx') : null;
document.addEventListener('vx:changed', ({detail}) => { if (detail?.from !== 'other') others?.postMessage({what: detail?.what}); });
others?.addEventListener('message', ({data}) => document.dispatchEvent(new CustomEvent('vx:changed', {detail: {what: data?.what, from: 'other'}})));
