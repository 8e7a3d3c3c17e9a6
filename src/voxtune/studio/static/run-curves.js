/**
 * The curves of a run, as SVG.
 *
 * Not gr.LinePlot, which was tried first (gradio 6.31): it draws well in a panel that was hidden and at 375 px, but a validation that stands alone is
 * not seen, for it draws lines and no points; and what feeds it is a gr.Timer, which puts a red notice over the page when the studio is started anew
 * and has forgotten then which run was chosen. Here the curves come with the same answer as all else of a run.
 */

import {make} from './run-figures.js';

const HEIGHT = 190;
const MARGIN = {top: 10, right: 12, bottom: 24, left: 46};

const svg = (tag, attributes = {}, text = '') => {
  const made = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text) made.textContent = text;
  return made;
};

/** A few round numbers from 0 to at least `most`. */
export function ticks(most, count = 4) {
  const rough = most / count || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].find(each => each * power >= rough) * power;
  return Array.from({length: Math.ceil(most / step - 1e-9) + 1}, (_, place) => place * step);
}

/** The figures of the steps that made the model: those done again after a resume stand once. */
export class Metrics {
  #kept = new Map();
  samples = null;
  warnings = [];
  memory = 0;

  /** @param {object[]} events those that are new */
  add(events) {
    for (const event of events) {
      if (event.event === 'stage' && event.stage === 'training') {
        for (const [key, value] of this.#kept) if (value.step > (event.step ?? 0)) this.#kept.delete(key);
      } else if (event.event === 'metrics' && Number.isInteger(event.step)) {
        this.#kept.set(('eval_wer' in event ? 'v' : 't') + event.step, event);
        if (event.memory_bytes) this.memory = event.memory_bytes;
      } else if (event.event === 'samples') {
        this.samples = event;
      } else if (event.event === 'warning') {
        this.warnings.push(event.message);
      }
    }
  }

  /** [[step, value]...] of one figure. */
  of(name) {
    return [...this.#kept.values()].filter(each => Number.isFinite(each[name])).map(each => [each.step, each[name]]).sort((one, other) => one[0] - other[0]);
  }
}

export class Curve {
  #shown = '';

  /**
   * @param {HTMLElement} figure with a caption, its key and its output, and a div to draw in
   * @param {(value: number) => string} format of values
   * @param {(step: number, texts: string[]) => string} say what the pointer is on
   */
  constructor(figure, format, say) {
    Object.assign(this, {place: figure.querySelector('div'), key: figure.querySelector('.vx-run-key'), out: figure.querySelector('output'), format, say});
    this.lines = [];
    new ResizeObserver(() => this.#draw()).observe(this.place);
    this.place.onpointermove = event => this.#point(event);
    this.place.onpointerleave = () => this.#rest();
  }

  /** @param {{name: string, kind: string, points: number[][]}[]} lines @param {{last: number, label: string}} more */
  show(lines, {last, label}) {
    const now = JSON.stringify([lines, last, label]);
    if (now === this.#shown) return;
    this.#shown = now;
    Object.assign(this, {lines: lines.filter(line => line.points.length), last, label});
    this.key.replaceChildren(...this.lines.map(line => make('span', 'vx-run-' + line.kind, line.name)));
    this.#draw();
    this.#rest();
  }

  #draw() {
    const width = this.place.clientWidth;
    if (!width || !this.lines.length) { this.place.replaceChildren(); return; }   // hidden; the observer calls again when it is not
    const rows = ticks(Math.max(1e-6, ...this.lines.flatMap(line => line.points.map(point => point[1]))));
    const top = rows.at(-1);
    const last = Math.max(1, this.last, ...this.lines.flatMap(line => line.points.map(point => point[0])));
    this.x = step => MARGIN.left + (width - MARGIN.left - MARGIN.right) * step / last;
    const y = value => MARGIN.top + (HEIGHT - MARGIN.top - MARGIN.bottom) * (1 - value / top);
    const drawn = svg('svg', {width, height: HEIGHT, viewBox: [0, 0, width, HEIGHT].join(' '), role: 'img', 'aria-label': this.label});
    for (const value of rows) {
      drawn.append(svg('line', {x1: MARGIN.left, x2: width - MARGIN.right, y1: y(value), y2: y(value), class: 'vx-run-grid'}));
      drawn.append(svg('text', {x: MARGIN.left - 8, y: y(value) + 4, 'text-anchor': 'end'}, this.format(value)));
    }
    for (const step of ticks(last, width < 300 ? 3 : 5).filter(each => each <= last && Number.isInteger(each))) {
      drawn.append(svg('text', {x: this.x(step), y: HEIGHT - 6, 'text-anchor': 'middle'}, String(step)));
    }
    for (const line of this.lines) {
      const places = line.points.map(([step, value]) => [this.x(step).toFixed(1), y(value).toFixed(1)]);
      if (places.length > 1) drawn.append(svg('polyline', {points: places.map(each => each.join()).join(' '), class: 'vx-run-' + line.kind}));
      if (places.length <= 12 || line.kind === 'validation') for (const [cx, cy] of places) drawn.append(svg('circle', {cx, cy, r: 3.2, class: 'vx-run-' + line.kind}));
    }
    this.cursor = svg('line', {y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom, class: 'vx-run-cursor', visibility: 'hidden'});
    drawn.append(this.cursor);
    this.place.replaceChildren(drawn);
  }

  #point(event) {
    if (!this.lines.length || !this.x) return;
    const left = event.clientX - this.place.getBoundingClientRect().left;
    const steps = [...new Set(this.lines.flatMap(line => line.points.map(point => point[0])))];
    const step = steps.reduce((best, each) => (Math.abs(this.x(each) - left) < Math.abs(this.x(best) - left) ? each : best));
    const texts = this.lines.flatMap(line => line.points.filter(point => point[0] === step).map(point => line.name + ' ' + this.format(point[1])));
    for (const name of ['x1', 'x2']) this.cursor.setAttribute(name, this.x(step));
    this.cursor.setAttribute('visibility', 'visible');
    this.out.textContent = this.say(step, texts);
  }

  #rest() {
    this.cursor?.setAttribute('visibility', 'hidden');
    const ends = this.lines.map(line => ({name: line.name, step: line.points.at(-1)[0], value: line.points.at(-1)[1]}));
    const last = Math.max(...ends.map(end => end.step));
    this.out.textContent = ends.length ? this.say(last, ends.filter(end => end.step === last).map(end => end.name + ' ' + this.format(end.value))) : '';
  }
}
