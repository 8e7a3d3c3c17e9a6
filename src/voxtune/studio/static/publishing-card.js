/** One thing that can be published: what it is, where it goes, how far it is, and what came of it. */
import {announce, t, translate} from './studio.js';
import {make, moment, number} from './run-figures.js';
import {Fields} from './publishing-fields.js';
import {read} from './publishing-reader.js';

/** By how the commands call what they do, and how it is called here. */
const DOING = [['checking that', 'trying'], ...['looking', 'gathering', 'merging', 'writing', 'comparing', 'sending', 'checking', 'building', 'starting'].map(each => [each, each])];
const COUNTED = ['looking', 'gathering', 'comparing', 'sending'];
const SHORT = 7;
const HOME = 'https://huggingface.co';

/** A name as part of a repository's. */
const plain = name => name.toLowerCase().replace(/[^a-z0-9]+/g, '-').replace(/^-|-$/g, '');

export class Card {
  #filledFor = '';
  #busy = false;
  #wasOpen = '';
  #lost = false;      // whether the keyboard was at the button, which cannot be pressed while the studio answers

  /** @param {HTMLElement} root a copy of the template @param {string} step @param {{start: Function, stop: Function, text: Function}} acts */
  constructor(root, step, acts) {
    Object.assign(this, {root, step, acts});
    translate(root);
    this.find = name => root.querySelector('.vx-publishing-' + name);
    root.dataset.step = step;
    root.querySelector('h3').textContent = t(`publishing.${step}.title`);
    this.find('about').textContent = t(`publishing.${step}.about`);
    this.form = root.querySelector('form');
    this.button = this.form.querySelector('[type=submit]');
    this.token = this.find('token').querySelector('input');
    this.fields = new Fields(this.find('fields'), step, () => this.#ready());
    this.token.oninput = () => this.#ready();
    this.form.onsubmit = event => { event.preventDefault(); this.#start(); };
    this.find('stop').onclick = () => this.#stop();
    this.find('bar').setAttribute('aria-label', t(`publishing.${step}.title`));
    if (step === 'card') this.#lookable();
  }

  /** @param {{now: object, run: object|null, account: object|null, locked: string, others: object[]}} seen */
  show(seen) {
    if (this.seen && this.seen.run?.id !== seen.run?.id && this.step !== 'dataset') { this.refused = null; this.fields.touched = false; }   // of another run
    this.seen = seen;
    const focused = this.root.contains(document.activeElement) ? document.activeElement : null;
    const state = seen.now.steps[this.step] ?? {state: 'none', published: null, asked: null};
    this.state = state;
    const working = ['working', 'stopping'].includes(state.state);
    this.root.dataset.state = seen.locked && state.state === 'none' ? 'locked' : state.state;
    this.find('mark').textContent = state.state === 'done' ? '✓' : '';
    const along = this.step === 'card' && state.state === 'none' && seen.now.steps.model?.published;   // it went with the model
    write(this.find('badge'), t(along ? 'publishing.card.along' : 'publishing.state.' + this.root.dataset.state));
    write(this.find('locked'), seen.locked);
    this.find('locked').hidden = !seen.locked || working;
    this.form.hidden = Boolean(seen.locked) || working;
    this.find('look').hidden = this.step !== 'card' || !seen.run;
    if (this.step === 'card' && seen.locked && seen.run) { this.form.hidden = false; this.button.hidden = true; } else this.button.hidden = false;
    this.#done(state.published, state.sent);
    this.#work(state, working);
    this.#failure(state);
    this.#fill(state);
    this.#ready();
    if (focused ? !focused.checkVisibility() : this.#lost && working && document.activeElement === document.body) {
      this.#lost = false;
      this.#next(working).focus();
    }
  }

  /** What a keyboard is at when what it was at has gone. */
  #next(working) {
    const link = this.find('done').querySelector('a');
    return working ? this.find('stop') : link.checkVisibility() ? link : this.button;
  }

  #done(published, sent) {
    this.find('done').hidden = !published;
    if (!published) return;
    const link = this.find('done').querySelector('a');
    write(link.firstElementChild, published.repo);
    if (/^https?:/.test(published.url)) link.href = published.url;
    const facts = [published.private == null ? '' : t(published.private ? 'publishing.seen.private' : 'publishing.seen.public'),
      published.revision ? t('publishing.revision', {revision: published.revision.slice(0, SHORT)}) : '', published.at ? moment(published.at) : ''];
    write(this.find('facts'), facts.filter(Boolean).join(' · '));
    const verified = this.step === 'space' && this.state.state === 'done' ? t(published.verified === 'verified' ? 'publishing.space.verified' : 'publishing.space.unverified') : '';
    write(this.find('note'), [verified, sent === 0 && this.state.state === 'done' ? t('publishing.nothing_new') : ''].filter(Boolean).join(' '));
  }

  #work(state, working) {
    this.find('work').hidden = !working;
    if (!working) return;
    const what = DOING.find(([said]) => state.what.includes(said))?.[1] ?? 'other';
    const counts = COUNTED.includes(what) && state.total > 1;
    const count = counts ? ' ' + t('publishing.of', {n: number(state.done), all: number(state.total)}) : '';
    const said = state.state === 'stopping' ? t('publishing.stopping') : t('publishing.doing.' + what) + count;
    write(this.find('work').firstElementChild, said);
    const bar = this.find('bar');
    const share = counts ? Math.min(1, state.done / state.total) : 0;
    bar.classList.toggle('waiting', !share);
    bar.firstElementChild.style.inlineSize = (100 * share).toFixed(1) + '%';
    bar.setAttribute('aria-valuetext', said);
    if (share) bar.setAttribute('aria-valuenow', String(Math.round(100 * share))); else bar.removeAttribute('aria-valuenow');
    this.find('stop').disabled = state.state === 'stopping';
  }

  #failure(state, refused = null) {
    const said = refused ?? (state.state === 'failed' ? state : null);
    if (!refused && this.refused) return;   // what the studio itself refused stays until it is tried again
    const box = this.find('failure');
    const known = said && t('publishing.failed.' + said.code);
    box.hidden = !said && state.state !== 'stopped';
    this.find('replace').hidden = !said?.hint?.includes('--replace');
    if (box.hidden) return;
    write(box.firstElementChild, said ? known.startsWith('publishing.') ? t('publishing.failed.unexpected') : known : t('publishing.stopped'));
    write(this.find('message'), said?.message ?? '');
    write(this.find('advice'), said?.hint ?? '');
  }

  /** Put in what was asked for last, or what seems best, unless a person has begun to change it. */
  #fill(state) {
    const {account, run, now} = this.seen;
    if (!account) return;
    const owners = [account.name, ...account.organizations];
    const published = state.published && {repo: state.published.repo, public: state.published.private === false, license: state.published.license ?? ''};
    const wish = {hardware: '', ...(state.state === 'done' ? {...state.asked, ...published} : {...published, ...state.asked})};
    if (!owners.includes(wish.repo?.split('/')[0])) wish.repo = `${account.name}/${this.#name(now, run)}`;
    wish.hardware ||= run?.model === 'tiny' ? 'cpu-basic' : 'zero-a10g';
    const mark = JSON.stringify([account.name, run?.id, wish]);
    this.fields.offer(owners, account.endpoint || HOME);
    if (mark !== this.#filledFor && !this.fields.touched) {
      this.#filledFor = mark;
      this.fields.fill(wish);
    }
    const folded = this.find('settings');
    const open = String(Boolean(state.published)) + run?.id;
    folded.hidden = this.step === 'card';
    folded.classList.toggle('first', !state.published);
    if (this.#wasOpen !== open) { folded.open = !state.published; this.#wasOpen = open; }
    this.find('token').hidden = this.step !== 'space' || !now.steps.model?.published?.private;
    this.token.placeholder = state.published ? t('publishing.space.token_kept') : '';
    this.find('read-token').href = (account.endpoint || HOME) + '/settings/tokens/new?tokenType=read';
  }

  /** How a repository is called that nobody has named yet. */
  #name(now, run) {
    const spoken = this.step === 'dataset' ? now.dataset?.language : run?.language;
    const base = run?.model === 'tiny' ? 'voxtral-tiny' : plain((run?.model ?? '').split('/').pop());
    const model = [base, spoken].filter(Boolean).join('-').slice(0, 60);
    const published = now.steps.model?.published?.repo?.split('/')[1];
    return {dataset: ['voice', spoken].filter(Boolean).join('-'), model, card: model, space: (published ?? model) + '-demo', tracking: 'voxtune-training'}[this.step];
  }

  #ready() {
    const {state} = this;
    if (!state) return;
    const needsToken = !this.find('token').hidden && !this.token.value.trim() && !state.published;   // one that is there has its own
    this.button.disabled = this.#busy || !this.fields.isRight || needsToken;
    write(this.button, t(['failed', 'stopped'].includes(state.state) || this.refused ? 'publishing.retry' : state.published ? `publishing.${this.step}.again` : `publishing.${this.step}.go`));
    this.button.classList.toggle('vx-publishing-primary', this.step !== 'card' && state.state !== 'done');
    const other = this.step === 'model' && this.seen.others.find(each => each.repo && each.repo === this.fields.wish.repo);
    write(this.find('warning'), other ? t('publishing.replaces', {name: other.name}) : '');
  }

  async #start() {
    if (this.button.disabled) return;
    this.#busy = true;
    this.#lost = this.root.contains(document.activeElement);
    this.refused = null;
    this.#ready();
    const replace = !this.find('replace').hidden && this.find('replace').querySelector('input').checked;
    const wish = {...this.fields.wish, replace, ...(this.token.value && {space_token: this.token.value})};
    try {
      await this.acts.start(wish);
      this.token.value = '';
      this.fields.touched = false;
      announce(t('publishing.state.working'));
    } catch (error) {
      this.refused = {code: error.body?.code ?? 'unexpected', message: error.message, hint: error.hint};
      this.#failure(this.state, this.refused);
    }
    this.#busy = false;
    this.#ready();
    if (this.#lost && document.activeElement === document.body) this.button.focus();
    this.#lost = false;
  }

  async #stop() {
    this.find('stop').disabled = true;
    write(this.find('work').firstElementChild, t('publishing.stopping'));
    await this.acts.stop().catch(() => { this.find('stop').disabled = false; });
  }

  /** The card's text, to be looked at before it is sent. */
  #lookable() {
    const [button, text] = [this.find('look'), this.find('text')];
    text.id = 'vx-publishing-text';
    text.setAttribute('aria-label', t('publishing.card.text'));
    button.setAttribute('aria-controls', text.id);
    const paint = () => {
      button.textContent = t(text.hidden ? 'publishing.card.look' : 'publishing.card.hide');
      button.setAttribute('aria-expanded', String(!text.hidden));
    };
    button.onclick = async () => {
      if (text.hidden) {
        button.disabled = true;
        try {
          const {head, body} = read((await this.acts.text()).text);
          const programs = make('details');
          programs.append(make('summary', '', t('publishing.card.head')), Object.assign(make('pre', '', head), {tabIndex: 0}));
          text.replaceChildren(body, programs);
        } catch (error) {
          text.textContent = [error.message, error.hint].filter(Boolean).join(' ');
        }
        button.disabled = false;
      }
      text.hidden = !text.hidden;
      paint();
    };
    paint();
  }
}

const write = (element, text) => { if (element.textContent !== text) element.textContent = text; };
