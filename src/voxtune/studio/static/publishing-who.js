/** Who is signed in at the Hub, and where nobody is: how to. */
import {announce, api, t} from './studio.js';
import {copied} from './publishing-copy.js';

/** How long the server may take: it asks the Hub, and asks again where the line is bad. */
const PATIENCE_MS = 120_000;
const HOW = {signed_out: 'hf auth login', token_refused: 'hf auth login --force', read: 'hf auth login --force'};

export class Who {
  #asking = null;
  #state = null;

  /** @param {HTMLElement} root @param {() => void} onChange */
  constructor(root, onChange) {
    this.root = root;
    this.find = name => root.querySelector('.vx-publishing-' + name);
    this.onChange = onChange;
    this.find('check').onclick = () => this.ask({fresh: true});
    copied(this.find('copy'), () => this.find('command').querySelector('code').textContent);
  }

  /** The account as the server told of it; null while nobody is signed in. */
  get account() {
    return this.#state?.state === 'in' ? this.#state : null;
  }

  /** Somebody came to this step, or back to this window: from signing in, perhaps. */
  come() {
    if (!this.account?.may_write) this.ask({fresh: Boolean(this.#state)});
  }

  async ask({fresh = false} = {}) {
    if (this.#asking) return;
    const check = this.find('check');
    check.disabled = true;
    this.#asking = api.json('publishing/account' + (fresh ? '?fresh' : ''), {signal: AbortSignal.timeout(PATIENCE_MS)});
    const before = this.#state?.state;
    try {
      this.#state = await this.#asking;
    } catch (error) {
      this.#state = {state: 'failed', message: error.message, hint: error.hint};
    }
    this.#asking = null;
    check.disabled = false;
    this.#paint();
    if (before && before !== this.#state.state) announce(this.find('name').textContent);
    this.onChange();
  }

  #paint() {
    const said = this.#state;
    const is = said.state === 'in' && !said.may_write ? 'read' : said.state;
    const spoken = ['in', 'read', 'signed_out', 'token_refused', 'offline', 'unreachable'].includes(is) ? is : 'other';
    const place = (said.endpoint || 'https://huggingface.co').replace(/^https?:\/\//, '');
    this.root.dataset.state = is;
    this.find('face').textContent = said.state === 'in' ? said.name[0].toUpperCase() : is === 'asking' ? '…' : '!';
    this.find('name').textContent = t('publishing.who.' + spoken, {name: said.name ?? ''});
    this.find('hint').textContent = is === 'in' ? t('publishing.who.goes', {place: place + '/' + said.name}) + (said.on_space ? '' : ' ' + this.#source(said))
      : is === 'offline' ? t('publishing.who.offline_hint') : said.on_space && !said.login ? t('publishing.who.no_login') : [said.message, said.hint].filter(Boolean).join(' ');
    this.find('check').hidden = is === 'in';
    for (const door of ['login', 'logout']) {
      this.find(door).hidden = !said[door] || (door === 'login') === (said.state === 'in');
      if (said[door]) this.find(door).setAttribute('href', new URL(said[door], location.origin).href);
    }
    this.#how(is, said);
  }

  #source(said) {
    return t(said.source === 'HF_TOKEN' ? 'publishing.who.source_env' : 'publishing.who.source_login');
  }

  #how(is, said) {
    const how = this.find('how');
    how.hidden = !HOW[is] || said.on_space;
    if (how.hidden) return;
    this.find('new').href = said.new_token;
    this.find('how-text').textContent = t(said.source === 'HF_TOKEN' ? 'publishing.how.env' : 'publishing.how.login');
    this.find('command').hidden = said.source === 'HF_TOKEN';
    this.find('command').querySelector('code').textContent = HOW[is];
  }
}
