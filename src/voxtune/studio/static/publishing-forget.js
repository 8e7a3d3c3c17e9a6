/** "Forget my recordings": says what would be deleted, asks for a word, and deletes it. */
import {api, changed, t} from './studio.js';
import {make, number} from './run-figures.js';

const PATIENCE_MS = 120_000;

export class Forget {
  #done = false;       // whether something was deleted: all the page shows is another then
  #asked = 0;
  #began = false;

  /** @param {HTMLDialogElement} dialog @param {HTMLButtonElement} opener */
  constructor(dialog, opener) {
    this.dialog = dialog;
    this.find = name => dialog.querySelector('.vx-publishing-' + name);
    this.boxes = [...dialog.querySelectorAll('input[type=checkbox]')];
    this.input = this.find('word').querySelector('input');
    this.word = t('publishing.forget.word');
    this.find('word').querySelector('span').textContent = t('publishing.forget.type', {word: this.word});
    opener.onclick = () => this.#open();
    this.find('close').onclick = () => this.#close();
    dialog.onclick = event => { if (event.target === dialog) this.#close(); };
    dialog.oncancel = event => { event.preventDefault(); this.#close(); };
    for (const box of this.boxes) box.onchange = () => this.#plan();
    this.input.oninput = () => this.#ready();
    this.input.onkeydown = event => { if (event.key === 'Enter') this.find('do').click(); };
    this.find('do').onclick = () => this.#do();
  }

  get #chosen() {
    return Object.fromEntries(this.boxes.map(box => [box.name, box.checked]));
  }

  #open() {
    this.#done = this.#began = false;
    this.input.value = '';
    this.find('ask').hidden = this.find('do').hidden = false;
    this.find('said').textContent = '';
    this.find('close').textContent = t('publishing.forget.keep');
    this.dialog.showModal();
    this.#plan();
  }

  /** What has been deleted is not to be looked at any more: the page begins anew. */
  #close() {
    this.dialog.close();
    if (!this.#done) return;
    changed('forgotten');
    history.replaceState(null, '', '#language');
    location.reload();
  }

  async #plan() {
    const mine = ++this.#asked;
    this.planned = false;
    this.#ready();
    const list = this.find('plan');
    const asked = Object.entries(this.#chosen).filter(([, is]) => is).map(([name]) => name).join('&');
    try {
      const plan = await api.json('publishing/forget?' + asked);
      if (mine !== this.#asked) return;
      list.replaceChildren(...lines(plan).map(text => make('li', '', text)));
      this.planned = true;
    } catch (error) {
      if (mine === this.#asked) list.replaceChildren(make('li', 'bad', [error.message, error.hint].filter(Boolean).join(' ')));
    }
    this.#ready();
  }

  #ready() {
    this.find('do').disabled = !this.planned || this.#began || this.input.value.trim().toLowerCase() !== this.word.toLowerCase();
  }

  async #do() {
    if (this.find('do').disabled) return;
    this.#began = true;
    this.#ready();
    this.find('said').textContent = t('publishing.forget.doing');
    try {
      this.show(await api.json('publishing/forget', {method: 'POST', body: {...this.#chosen, confirmed: true}, signal: AbortSignal.timeout(PATIENCE_MS)}));
      changed('published');   // so that what comes of it is looked at soon
    } catch (error) {
      this.#began = false;
      this.#ready();
      this.find('said').textContent = [error.message, error.hint].filter(Boolean).join(' ');
    }
  }

  /** @param {{state: string, message: string, hint: string, gone: string[], left: string[]}} now */
  show(now) {
    if (!this.#began || !this.dialog.open || now.state === 'working') return;
    if (now.state === 'failed') {
      this.#began = false;
      this.#ready();
      this.find('said').textContent = [now.message, now.hint].filter(Boolean).join(' ');
    } else if (now.state === 'done') {
      this.#done = true;
      this.find('ask').hidden = this.find('do').hidden = true;
      this.find('said').textContent = [t('publishing.forget.done'), now.left.length ? t('publishing.forget.left', {what: now.left.join(' ')}) : ''].filter(Boolean).join(' ');
      this.find('close').textContent = t('publishing.forget.anew');
      this.find('close').focus();
    }
  }
}

/** A plan in lines: what goes, and what stays. */
function lines(plan) {
  const found = [t('publishing.forget.here', {takes: number(plan.takes), files: number(plan.files), size: number(plan.bytes / 1e6, 1)})];
  for (const [what, names] of [['run', plan.runs], ['there', plan.repos]]) for (const name of names) found.push(t('publishing.forget.' + what, {name}));
  for (const name of [...plan.other_runs, ...plan.other_repos]) found.push(t('publishing.forget.stays', {name}));
  if (plan.num_left) found.push(t('publishing.forget.theirs', {n: number(plan.num_left)}));
  return found;
}
