/** What a person may choose of a step: the repository, who sees it, and what only this step has. */
import {t} from './studio.js';
import {make} from './run-figures.js';

/** What each step asks for, besides the repository. */
const ASKS = {dataset: ['visibility', 'license'], model: ['visibility', 'what', 'license'], space: ['visibility', 'hardware'], card: [], tracking: []};
const LICENCES = ['cc-by-4.0', 'cc-by-sa-4.0', 'cc-by-nc-4.0', 'cc0-1.0', 'apache-2.0'];
const CHOICES = {
  what: ['auto', 'adapter', 'merged'],
  hardware: ['cpu-basic', 'zero-a10g', 't4-small', 'l4x1'],
};
const LONGEST = 96;
/** A model without a licence of its own has that of its base; recordings have none unless it is chosen. */
const choices = (name, step) => (name === 'license' ? [...(step === 'model' ? [''] : []), ...LICENCES] : CHOICES[name]);
/** Keys of words have no signs in them. */
const key = value => value.replace(/\W/g, '_') || 'none';

/** Whether the Hub would take a repository of this name. */
export const takes = (owner, name) => /^[A-Za-z0-9](?:[\w.-]*\w)?$/.test(name) && !/\.\.|--|\.git$/.test(name) && (owner + '/' + name).length <= LONGEST;

export class Fields {
  touched = false;
  #selects = {};

  /** @param {HTMLElement} root an empty place @param {string} step @param {() => void} onChange */
  constructor(root, step, onChange) {
    this.step = step;
    this.root = root;
    const id = name => `vx-publishing-${step}-${name}`;
    if (step !== 'card') {
      this.owner = make('select');
      this.owner.setAttribute('aria-label', t('publishing.owner'));
      this.name = Object.assign(make('input'), {id: id('repo'), type: 'text', autocomplete: 'off', spellcheck: false, required: true});
      this.name.setAttribute('autocapitalize', 'off');
      this.wrong = Object.assign(make('p', 'vx-publishing-wrong'), {id: id('wrong'), hidden: true});
      this.name.setAttribute('aria-describedby', this.wrong.id);
      const pair = make('div', 'vx-publishing-pair');
      pair.append(this.owner, make('span', '', '/'), this.name);
      root.append(this.#field(t('publishing.repository'), pair, this.name.id, this.wrong));
    }
    for (const name of ASKS[step]) root.append(name === 'visibility' ? this.#visibility() : this.#select(name, id(name)));
    root.onchange = root.oninput = () => { this.touched = true; this.#say(); onChange(); };
  }

  #field(label, control, id, ...more) {
    const field = make('div', 'vx-publishing-field');
    const title = make('label', '', label);
    title.htmlFor = id;
    field.append(title, control, ...more);
    return field;
  }

  #visibility() {
    const group = make('fieldset', 'vx-publishing-visibility');
    group.append(make('legend', '', t('publishing.visibility')));
    this.radios = ['private', 'public'].map(value => {
      const label = make('label');
      const radio = Object.assign(make('input'), {type: 'radio', name: `vx-publishing-${this.step}-visibility`, value});
      label.append(radio, make('span', '', t('publishing.visibility.' + value)));
      group.append(label);
      return radio;
    });
    this.visible = make('p', 'vx-publishing-say');
    group.append(this.visible);
    return group;
  }

  #select(name, id) {
    const select = Object.assign(make('select'), {id});
    select.append(...choices(name, this.step).map(value => {
      const option = make('option', '', t(`publishing.${name}.${key(value)}`));
      option.value = value;
      return option;
    }));
    const say = Object.assign(make('p', 'vx-publishing-say'), {id: id + '-say'});
    select.setAttribute('aria-describedby', say.id);
    const field = this.#field(t('publishing.' + name), select, id, say);
    this.#selects[name] = {select, say, field};
    return field;
  }

  /** Offer these accounts to publish under; `place` is where the Hub tells its prices. */
  offer(owners, place) {
    if (!this.owner || this.owner.dataset.shown === owners.join()) return;
    this.owner.dataset.shown = owners.join();
    this.owner.replaceChildren(...owners.map(each => make('option', '', each)));
    if (this.#selects.hardware && !this.prices) {
      this.prices = make('a', '', t('publishing.hardware.prices'));
      Object.assign(this.prices, {href: place + '/pricing', target: '_blank', rel: 'noopener'});
      this.#selects.hardware.field.append(this.prices);
    }
  }

  /** @param {{repo: string, public?: boolean, license?: string, what?: string, hardware?: string}} wish */
  fill(wish) {
    this.touched = false;
    if (this.owner) {
      const [owner, name] = wish.repo.split('/');
      if ([...this.owner.options].some(option => option.value === owner)) this.owner.value = owner;
      this.name.value = name;
    }
    for (const radio of this.radios ?? []) radio.checked = radio.value === (wish.public ? 'public' : 'private');
    for (const [name, {select}] of Object.entries(this.#selects)) { select.value = wish[name]; if (select.selectedIndex < 0) select.selectedIndex = 0; }
    this.#say();
  }

  get isPublic() {
    return Boolean(this.radios?.find(radio => radio.value === 'public').checked);
  }

  /** What was chosen. */
  get wish() {
    const chosen = Object.fromEntries(Object.entries(this.#selects).map(([name, {select}]) => [name, select.value]));
    return {repo: this.owner ? `${this.owner.value}/${this.name.value.trim()}` : '', public: this.isPublic, ...chosen, license: this.isPublic ? chosen.license ?? '' : ''};
  }

  /** Whether all that is filled in can be sent. */
  get isRight() {
    return !this.owner || takes(this.owner.value, this.name.value.trim());
  }

  #say() {
    if (this.wrong) {
      this.wrong.hidden = this.isRight;
      this.wrong.textContent = this.isRight ? '' : t('publishing.repository.wrong', {n: LONGEST});
      this.name.setAttribute('aria-invalid', String(!this.isRight));
    }
    if (this.visible) this.visible.textContent = t(this.isPublic ? `publishing.visibility.public.${this.step}` : 'publishing.visibility.private.about');
    for (const [name, {select, say, field}] of Object.entries(this.#selects)) {
      if (name === 'license') field.hidden = !this.isPublic;
      say.textContent = t(`publishing.${name}.${key(select.value)}.about`);
    }
  }
}
