/** A run on the page: its state, how it ended, what it heard. */
import {t} from './studio.js';
import {duration, gigabytes, make, moment, number, percent, rates, title} from './run-figures.js';

export const ACTIVE = ['queued', 'running', 'stopping'];

const known = (key, other, values) => { const said = t(key, values); return said === key ? other : said; };

/** What happens now, as a sentence. */
export function sentence(status) {
  if (status.state === 'queued') {
    if (!status.waits_for) return t('run.say.queued');
    return status.waits_for === '*' ? t('run.say.waits_other') : t('run.say.waits', {name: status.waits_for});
  }
  if (status.state === 'running') return known('run.say.' + status.stage, t('run.say.running'));
  return t('run.say.' + status.state);
}

function facts(status) {
  const said = [];
  if (status.total_steps) said.push(t('run.step', {n: status.step, all: status.total_steps}));
  if (status.epoch && status.state !== 'queued') said.push(t('run.epoch', {n: number(status.epoch, 1), all: number(status.epochs, 1)}));
  if (ACTIVE.includes(status.state) && status.seconds_left) said.push(t('run.left', {time: duration(status.seconds_left)}));
  if (!ACTIVE.includes(status.state) && status.updated_at) said.push(moment(status.updated_at));
  return said.join(' · ');
}

function memory(status, most) {
  const {total_bytes: estimate, available_bytes: available, peak_bytes: peak} = status.memory;
  const used = Math.max(peak ?? 0, most);
  if (!available) return '';
  return used ? t('run.memory', {used: gigabytes(used), available: gigabytes(available), estimate: gigabytes(estimate)})
    : t('run.memory_estimate', {estimate: gigabytes(estimate), available: gigabytes(available)});
}

/** The card: state, bar, figures. */
export function card(root, status, metrics) {
  const find = name => root.querySelector('.vx-run-' + name);
  const active = ACTIVE.includes(status.state);
  root.dataset.state = status.state;
  find('badge').textContent = t('run.state.' + status.state);
  find('name').textContent = title(status);
  write(find('say'), sentence(status));
  find('facts').textContent = facts(status);
  find('note').hidden = !active;
  find('memory').textContent = memory(status, metrics.memory);
  find('stop').hidden = !active || status.state === 'stopping';
  const bar = find('bar');
  const share = status.total_steps ? status.step / status.total_steps : 0;
  const waiting = active && (status.state === 'queued' || !status.total_steps || status.stage === 'preparing');
  bar.hidden = status.state === 'unreadable';
  bar.classList.toggle('waiting', waiting);
  bar.firstElementChild.style.inlineSize = (100 * share).toFixed(1) + '%';
  bar.setAttribute('aria-valuemax', String(status.total_steps || 1));
  if (waiting) bar.removeAttribute('aria-valuenow'); else bar.setAttribute('aria-valuenow', String(status.step));
  bar.setAttribute('aria-valuetext', find('facts').textContent || sentence(status));
  failure(find('failure'), status);
  done(find('done'), status);
}

const write = (element, text) => { if (element.textContent !== text) element.textContent = text; };

function goOn(button, status) {
  button.hidden = !status.resumable;
  button.textContent = t(status.checkpoint ? 'run.resume' : 'run.resume_start', {n: status.checkpoint});
}

function failure(box, status) {
  const failed = status.state === 'failed' || status.state === 'unreadable';
  const now = failed ? JSON.stringify([status.id, status.state, status.code, status.message, status.hint, status.last_lines, status.suggestion, status.resumable, status.checkpoint]) : '';
  if (failed && box.dataset.shown !== now) { // once for each failure: people copy from it
    box.dataset.shown = now;
    const said = (name, text) => { box.querySelector(name).textContent = text; };
    const damaged = status.state === 'unreadable';
    said('h4', damaged ? status.message : known('run.failed.' + status.code, status.message));
    said('.vx-run-advice', damaged ? status.hint : known('run.advice.' + status.code, ''));
    box.querySelector('details').hidden = damaged;
    said('.vx-run-message', status.message);
    said('.vx-run-hint', status.hint);
    const lines = status.last_lines ?? [];
    said('pre', lines.join('\n'));
    box.querySelector('pre').hidden = !lines.length;
    const settings = Object.entries(status.suggestion ?? {}).map(([name, value]) => name.replaceAll('_', ' ') + ': ' + value).join(', ');
    said('.vx-run-suggestion', settings && t('run.suggestion', {settings}));
    goOn(box.querySelector('.vx-run-resume'), status);
    box.querySelector('.vx-run-again').hidden = status.state === 'unreadable';
    box.querySelector('.vx-run-again').classList.toggle('vx-run-primary', !status.resumable);
  }
  box.hidden = !failed;
}

function done(box, status) {
  const ended = status.state === 'finished' || status.state === 'stopped';
  if (ended) {
    const both = status.base_wer != null && status.best_wer != null;
    write(box.querySelector('p'), status.state === 'stopped' ? t('run.stopped_note')
      : both ? t('run.finished_note', {base: percent(status.base_wer), best: percent(status.best_wer)}) : t('run.finished_plain'));
    box.querySelector('.vx-run-see').hidden = !status.has_model;
    goOn(box.querySelector('.vx-run-resume'), status);
    box.querySelector('.vx-run-resume').classList.toggle('vx-run-primary', !status.has_model);
  }
  box.hidden = !ended;
}

/** Warnings, and what it heard at the last validation. */
export function heard(root, metrics) {
  const warnings = root.querySelector('.vx-run-warnings');
  warnings.hidden = !metrics.warnings.length;
  fill(warnings.querySelector('ul'), metrics.warnings, text => make('li', '', text));
  const samples = root.querySelector('.vx-run-samples');
  samples.hidden = !metrics.samples?.samples?.length;
  if (samples.hidden) return;
  samples.querySelector('p').textContent = metrics.samples.step ? t('run.samples_at', {n: metrics.samples.step}) : t('run.samples_before');
  fill(samples.querySelector('dl'), metrics.samples.samples, sample => {
    const same = sample.text.trim().toLowerCase() === sample.heard.trim().toLowerCase();
    const row = make('div', same ? 'same' : '');
    for (const [key, text] of [['run.said', sample.text], ['run.heard', sample.heard || t('run.nothing')]]) {
      const words = make('dd', '', text);
      words.dir = 'auto';
      words.translate = false;
      row.append(make('dt', '', t(key)), words);
    }
    return row;
  });
}

/** Children for each of `values`, made anew only when these are others. */
export function fill(list, values, make_) {
  const now = JSON.stringify(values);
  if (list.dataset.shown === now) return;
  list.dataset.shown = now;
  list.replaceChildren(...values.map(make_));
}

/** All runs, to choose one. */
export function earlier(box, runs, chosen, choose) {
  box.hidden = runs.length < 2;
  const list = box.querySelector('ul');
  const now = JSON.stringify([chosen, runs.map(({id, state, best_wer, base_wer}) => [id, state, best_wer, base_wer])]);
  if (list.dataset.shown === now) return;
  list.dataset.shown = now;
  const focused = list.contains(document.activeElement) ? document.activeElement.dataset.run : '';
  list.replaceChildren(...runs.map(run => {
    const button = make('button');
    button.type = 'button';
    button.dataset.run = run.id;
    button.dataset.state = run.state;
    button.setAttribute('aria-pressed', String(run.id === chosen));
    button.append(make('span', 'vx-run-badge', t('run.state.' + run.state)), make('strong', '', title(run)), make('span', 'vx-run-rates', rates(run)),
      make('span', 'vx-run-when', run.started_at ? moment(run.started_at) : ''));
    button.onclick = () => choose(run.id);
    const item = make('li');
    item.append(button);
    return item;
  }));
  if (focused) list.querySelector('[data-run="' + CSS.escape(focused) + '"]')?.focus();
}
