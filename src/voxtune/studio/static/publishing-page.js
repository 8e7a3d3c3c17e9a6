/** The publishing step: who is signed in, whose voice it is, and a card for each thing that can be published. */
import {announce, api, at, changed, ready, t, translate} from './studio.js';
import {make, moment, title} from './run-figures.js';
import {Card} from './publishing-card.js';
import {Consent} from './publishing-consent.js';
import {Forget} from './publishing-forget.js';
import {Who} from './publishing-who.js';

const LIVE_MS = 1000;
const CALM_MS = 5000;
const WORKING = ['working', 'stopping'];
/** One at a time, for they write into the same records. */
const OF_RUN = ['model', 'card', 'space', 'tracking'];

/** @param {HTMLElement} root the step's part of the page */
export async function open(root) {
  const find = name => root.querySelector('.vx-publishing-' + name);
  await ready();
  translate(root);

  const who = new Who(find('who'), () => paint());
  const consent = new Consent(find('consent'), voice => post('publishing/consent', {run: chosen, voice}));
  const template = find('card-template').content.firstElementChild;
  const cards = ['dataset', 'model', 'card', 'space', 'tracking'].map(step => {
    const card = new Card(template.cloneNode(true), step, {
      start: wish => post('publishing/steps/' + step, {...wish, run: chosen}),
      stop: () => post('publishing/steps/' + step + '/stop', {run: chosen}),
      text: () => api.json('publishing/card?run=' + encodeURIComponent(chosen)),
    });
    (step === 'tracking' ? find('tracking').querySelector('ol') : find('steps')).append(card.root);
    return card;
  });
  const forget = new Forget(root.querySelector('dialog'), find('forget'));
  const select = find('run').querySelector('select');

  let now = null;
  let chosen = '';
  let before = {};      // state of each step when it was seen last
  let timer = 0;
  let busy = false;
  let again = false;
  let last = 0;         // of the questions whose answer is wanted: a later one may be answered sooner

  function take(state) {
    now = state;
    chosen = state.run;
    for (const [step, {state: is}] of Object.entries(state.steps)) noticed(chosen + ' ' + step, step, is);
    paint();
  }

  /** Tell everyone once what came of a step. */
  function noticed(key, step, is) {
    const was = before[key];
    before[key] = is;
    if (!WORKING.includes(was) || WORKING.includes(is)) return;
    announce(t('publishing.' + step + '.title') + ': ' + t('publishing.state.' + is));
    changed('published');
  }

  function paint() {
    if (!now) return;
    runs();
    const run = now.runs.find(each => each.id === chosen) ?? null;
    const {account} = who;
    consent.show(now.consent, account);
    find('consent').hidden = !account?.may_write && !now.consent;
    find('steps').hidden = false;
    find('tracking').hidden = !run;
    find('end').hidden = !now.dataset;
    for (const card of cards) card.show({now, run, account, locked: locked(card.step, run, account), others: now.runs.filter(each => each !== run)});
    forget.show(now.forgetting);
  }

  /** Why a step cannot be done yet, in words; '' where it can. */
  function locked(step, run, account) {
    if (step === 'dataset' && !now.dataset) return t('publishing.locked.dataset');
    if (step !== 'dataset' && !run) return t('publishing.locked.run');
    if (['card', 'space'].includes(step) && !now.steps.model?.published) return t('publishing.locked.model');
    if (!account?.may_write) return t('publishing.locked.sign_in');
    if (step !== 'dataset' && OF_RUN.some(other => other !== step && WORKING.includes(now.steps[other]?.state))) return t('publishing.locked.busy');
    return now.consent ? '' : t('publishing.locked.consent');
  }

  function runs() {
    const shown = JSON.stringify(now.runs.map(run => run.id));
    if (select.dataset.shown !== shown) {
      select.dataset.shown = shown;
      select.replaceChildren(...now.runs.map(run => {
        const option = make('option', '', title(run) + ' · ' + moment(run.started_at));
        option.value = run.id;
        return option;
      }));
    }
    select.value = chosen;
    find('run').hidden = now.runs.length < 2;
  }
  select.onchange = () => { chosen = select.value; soon(); };

  /** Ask for something to be done; the answer is how all stands then. */
  async function post(path, body) {
    const mine = ++last;
    const state = await api.json(path, {method: 'POST', body, signal: AbortSignal.timeout(120_000)});
    if (mine === last) take(state);
    soon();
  }

  async function look() {
    const mine = ++last;
    const wanted = chosen;
    const state = await api.json('publishing?run=' + encodeURIComponent(wanted));
    if (mine === last && wanted === chosen) take(state);
    return Object.values(state.steps).some(step => WORKING.includes(step.state)) || state.forgetting.state === 'working' ? LIVE_MS : CALM_MS;
  }

  async function tick() {
    clearTimeout(timer);
    if (busy) { again = true; return; }
    if (document.hidden || at() !== 'publishing') return;
    busy = true;
    let wait = CALM_MS;
    try {
      wait = await look();
      find('offline').hidden = find('error').hidden = true;
    } catch (error) {
      const place = find(error.status === 0 ? 'offline' : 'error');
      const text = [error.message, error.hint].filter(Boolean).join(' ');
      if (place.textContent !== text) place.textContent = text;
      place.hidden = false;
    }
    busy = false;
    if (again) { again = false; wait = 0; }
    timer = setTimeout(tick, wait);
  }
  const soon = () => { tick(); };
  const come = () => { if (at() === 'publishing' && !document.hidden) who.come(); soon(); };

  document.addEventListener('visibilitychange', come);
  document.addEventListener('vx:step', come);
  document.addEventListener('vx:changed', soon);
  come();
}
