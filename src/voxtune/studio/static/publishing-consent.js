/** Whose voice it is: asked before anything can be published, and kept with the recordings. */
import {announce, t} from './studio.js';
import {moment} from './run-figures.js';

export class Consent {
  #asking = false;    // whether a person wants to change what was said
  #busy = false;

  /** @param {HTMLElement} root @param {(voice: string) => Promise<void>} onGiven */
  constructor(root, onGiven) {
    this.root = root;
    this.form = root.querySelector('form');
    this.given = root.querySelector('.vx-publishing-given');
    this.agree = this.form.querySelector('.vx-publishing-agree');
    this.button = this.form.querySelector('button');
    this.refused = this.form.querySelector('.vx-publishing-refused');
    this.form.onchange = ({target}) => {
      if (target.type === 'radio') this.agree.querySelector('input').checked = false;   // another sentence is agreed to
      this.#check();
    };
    this.form.onsubmit = event => { event.preventDefault(); this.#give(onGiven); };
    this.given.querySelector('button').onclick = () => {
      this.#asking = true;
      this.show(this.consent);
      this.form.querySelector('input').focus();
    };
  }

  get #voice() {
    return this.form.querySelector('input[type=radio]:checked')?.value ?? '';
  }

  #check() {
    this.agree.querySelector('span').textContent = t('publishing.consent.agree.' + (this.#voice || 'own'));
    this.agree.hidden = !this.#voice;
    this.button.disabled = this.#busy || !this.#voice || !this.agree.querySelector('input').checked;
  }

  async #give(onGiven) {
    this.#busy = true;
    this.refused.hidden = true;
    this.#check();
    try {
      await onGiven(this.#voice);
      this.#asking = false;
      this.agree.querySelector('input').checked = false;
      this.show(this.consent);
      this.given.querySelector('button').focus();
      announce(this.given.textContent);
    } catch (error) {
      this.refused.textContent = [error.message, error.hint].filter(Boolean).join(' ');
      this.refused.hidden = false;
    }
    this.#busy = false;
    this.#check();
  }

  /** @param {{voice: string, confirmed_at: string, by: string} | null} consent */
  show(consent) {
    this.consent = consent;
    const asks = !consent || this.#asking;
    this.root.dataset.given = String(!asks);
    this.form.hidden = !asks;
    this.given.hidden = asks;
    for (const each of this.root.querySelectorAll(':scope > h3, :scope > .vx-publishing-about')) each.hidden = !asks;
    if (consent && !asks) {
      const when = moment(Date.parse(consent.confirmed_at) / 1000);
      const said = t('publishing.consent.given', {what: t('publishing.consent.' + consent.voice), name: consent.by, when});
      const place = this.given.querySelectorAll('span')[1];
      if (place.textContent !== said) place.textContent = said;
    }
    this.#check();
  }
}
