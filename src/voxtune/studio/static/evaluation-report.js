/** A report on the page: the verdict in words, the figures, the sentences. */
import {announce, api, t} from './studio.js';
import {make, number, percent} from './run-figures.js';
import {Player} from './player.js';

const FIRST = 10;
const FEW = 30;
const LEAST = 4;
const OPERATIONS = ['substitute', 'delete', 'insert'];
const better = clip => Math.sign(clip.base_wer - clip.tuned_wer);
const FILTERS = {all: () => true, helped: clip => better(clip) > 0, hurt: clip => better(clip) < 0, same: clip => better(clip) === 0};

/** Of 100 words, exact to one place below ten. */
const ofHundred = rate => number(Math.abs(100 * rate), Math.abs(rate) < 0.0995 ? 1 : 0);

/** The verdict's sentences: what, how sure, resting on what, and what to do. */
export function told(report) {
  const {verdict, wer_reduction: change, wer_reduction_ci95: [low, high], num_clips: n} = report;
  const kind = verdict === 'better' || verdict === 'worse' ? verdict : 'same';
  const by = ofHundred(change);
  const side = change > 0 ? 'fewer' : change < 0 ? 'more' : 'equal';
  const ends = kind === 'worse' ? {low: ofHundred(high), high: ofHundred(low)} : {low: ofHundred(low), high: ofHundred(high)};
  return {
    kind,
    title: t('evaluation.verdict.' + kind),
    change: t('evaluation.sentence.' + (kind === 'same' ? side : kind), {n: by}),
    interval: n < LEAST ? t('evaluation.interval.none') : t('evaluation.interval.' + kind, ends),
    rests: t(n < FEW ? 'evaluation.small' : 'evaluation.rests', {n}),
    advice: kind === 'better' ? '' : t('evaluation.advice.' + kind),
  };
}

export class Report {
  #filter = 'all';
  #all = false;

  constructor(root) {
    this.root = root;
    this.find = name => root.querySelector('.vx-evaluation-' + name);
    this.player = new Player(() => this.#marks());
    for (const operation of OPERATIONS) this.find('legend').append(this.#mark(operation, t('evaluation.op.' + operation)));
    this.find('more').onclick = () => { this.#all = true; this.#sentences(); this.find('sentences').querySelectorAll('ol > li')[FIRST]?.querySelector('button').focus(); };
  }

  /** @param {object} report as the server gives it @param {string} run */
  show(report, run, command) {
    Object.assign(this, {report, run});
    this.player.stop();
    this.#filter = 'all';
    this.#all = false;
    const said = told(report);
    this.find('verdict').dataset.kind = said.kind;
    this.find('verdict').querySelector('h3').textContent = said.title;
    for (const name of ['change', 'interval', 'rests', 'advice']) this.find(name).textContent = said[name];
    this.#chart();
    this.#rates('wer');
    this.#rates('cer');
    this.find('raw').textContent = t('evaluation.raw', {base: percent(report.base.raw_wer), tuned: percent(report.tuned.raw_wer)});
    this.find('foot').querySelector('code').textContent = command;
    this.#filters();
    this.#sentences();
  }

  #chart() {
    const {wer_reduction: change, wer_reduction_ci95: [low, high], num_clips: n} = this.report;
    this.find('chart').hidden = n < LEAST;
    const reach = Math.max(Math.abs(low), Math.abs(high), Math.abs(change), 0.02) * 1.1;
    const place = value => 50 + 50 * value / reach;
    Object.assign(this.find('range').style, {insetInlineStart: place(low) + '%', inlineSize: place(high) - place(low) + '%'});
    this.find('point').style.insetInlineStart = place(change) + '%';
    const signed = value => (value < 0 ? '−' : '') + ofHundred(value);
    this.find('chart').setAttribute('aria-label', t('evaluation.chart', {n: signed(change), low: signed(low), high: signed(high)}));
  }

  #rates(name) {
    const rates = {base: this.report.base[name], tuned: this.report.tuned[name]};
    const most = Math.max(1e-9, ...Object.values(rates));
    this.find(name).replaceChildren(make('h4', '', t('evaluation.' + name)), ...Object.entries(rates).map(([which, rate]) => {
      const row = make('div', which);
      const bar = make('span', 'vx-evaluation-track');
      const fill = make('i');
      fill.style.inlineSize = 100 * rate / most + '%';
      bar.append(fill);
      row.append(make('span', 'which', t('evaluation.' + (which === 'base' ? 'before' : 'after'))), bar, make('strong', '', percent(rate)));
      return row;
    }));
  }

  #filters() {
    const clips = this.report.clips;
    this.find('filter').replaceChildren(...Object.entries(FILTERS).map(([name, fits]) => {
      const button = make('button', '', t('evaluation.filter.' + name, {n: clips.filter(fits).length}));
      button.type = 'button';
      button.dataset.filter = name;
      button.setAttribute('aria-pressed', String(name === this.#filter));
      button.onclick = () => {
        this.#filter = name;
        this.#all = false;
        for (const each of this.find('filter').children) each.setAttribute('aria-pressed', String(each === button));
        this.#sentences();
        announce(button.textContent);
      };
      return button;
    }));
  }

  #sentences() {
    const clips = this.report.clips.filter(FILTERS[this.#filter]);
    const shown = this.#all ? clips : clips.slice(0, FIRST);
    const list = this.find('sentences').querySelector('ol');
    list.replaceChildren(...(clips.length ? shown.map(clip => this.#sentence(clip)) : [make('li', 'none', t('evaluation.none_such'))]));
    this.find('more').hidden = shown.length === clips.length;
    this.find('more').textContent = t('evaluation.more', {n: clips.length});
    this.find('legend').hidden = clips.every(clip => !clip.base);
    this.#marks();
  }

  #sentence(clip) {
    const item = make('li');
    item.dataset.change = String(better(clip));
    const play = make('button', 'play');
    play.type = 'button';
    play.dataset.clip = String(clip.audio);
    play.append(make('span'));
    play.onclick = () => this.#play(clip, play);
    const rows = make('dl');
    const said = make('dd', '', clip.text);
    this.#speech(said, clip);
    rows.append(make('dt', '', t('evaluation.said')), said);
    for (const which of ['base', 'tuned']) {
      const heard = make('dd');
      this.#speech(heard, clip);
      this.#words(heard, clip[which], clip[which + '_text']);
      const rate = make('span', 'rate', clip[which + '_wer'] ? percent(clip[which + '_wer']) : '✓');
      rate.title = clip[which + '_wer'] ? t('evaluation.wer') : t('evaluation.all_right');
      const title = make('dt', which, t('evaluation.heard_' + which));
      title.append(rate);
      rows.append(title, heard);
    }
    item.append(play, rows);
    return item;
  }

  #speech(element, clip) {
    element.dir = 'auto';
    element.translate = false;
    if (clip.language) element.lang = clip.language;
  }

  /** @param {[string, string, string][] | null} words operation, word heard and word said */
  #words(place, words, text) {
    if (!text) { place.append(make('i', '', t('evaluation.nothing'))); return; }
    if (!words) { place.textContent = text; return; }
    for (const [operation, heard, said] of words) {
      place.append(operation === 'equal' ? heard : this.#mark(operation, heard || said, said), ' ');
    }
  }

  #mark(operation, text, said = '') {
    const mark = make(operation === 'delete' ? 'del' : operation === 'insert' ? 'ins' : 'mark', '', text);
    const meant = said && operation === 'substitute' ? t('evaluation.op.substitute_said', {said}) : '';
    if (!said && !meant) return mark;
    mark.title = meant || t('evaluation.op.' + operation);
    mark.append(make('span', 'vx-unseen', ' (' + mark.title + ')'));
    return mark;
  }

  async #play(clip) {
    try {
      await this.player.toggle(String(clip.audio), async () => {
        const answer = await api('runs/' + encodeURIComponent(this.run) + '/clips/' + clip.audio + '/audio');
        if (!answer.ok) throw new Error((await answer.json().catch(() => null))?.error ?? t('page.no_answer'));
        return answer.blob();
      });
      this.find('error').hidden = true;
    } catch (error) {
      this.find('error').textContent = error.message;
      this.find('error').hidden = false;
    }
  }

  #marks() {
    for (const button of this.root.querySelectorAll('button.play')) {
      const playing = this.player.playing === button.dataset.clip;
      button.classList.toggle('playing', playing);
      button.setAttribute('aria-label', t(playing ? 'evaluation.pause' : 'evaluation.play'));
    }
  }
}
