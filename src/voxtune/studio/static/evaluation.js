/** The evaluation step: which run, how its evaluation stands, and its report. */
import {announce, api, at, changed, go, ready, t, translate} from './studio.js';
import {make, moment, title} from './run-figures.js';
import {Report} from './evaluation-report.js';

const LIVE_MS = 1000;
const CALM_MS = 5000;

export async function mount(element, {trigger}) {
  const root = element.querySelector('.vx-evaluation');
  const find = name => root.querySelector('.vx-evaluation-' + name);
  await ready();
  translate(root);

  const report = new Report(root);
  const select = find('run').querySelector('select');
  let chosen = '';
  let reportAt = 0;     // of the report that is shown
  let logAt = -1;       // nobody reads the log here
  let before = '';      // state of the evaluation when it was seen last
  let timer = 0;
  let busy = false;
  let again = false;
  let asked = '';

  function list(runs) {
    const now = JSON.stringify(runs.map(run => run.id + run.verdict));
    if (select.dataset.shown !== now) {
      select.dataset.shown = now;
      select.replaceChildren(...runs.map(run => {
        const option = make('option', '', title(run) + ' · ' + moment(run.started_at));
        option.value = run.id;
        return option;
      }));
    }
    if (!runs.some(run => run.id === chosen)) choose(runs[0]?.id ?? '');
    select.value = chosen;
    find('run').hidden = runs.length === 0;
  }

  function choose(id) {
    if (id === chosen) return;
    chosen = id;
    reportAt = 0;
    logAt = -1;
    before = '';
    find('error').hidden = true;
    find('result').hidden = find('work').hidden = find('missing').hidden = true;
    if (id) trigger('chosen', {run: id});
  }
  select.onchange = () => { choose(select.value); soon(); };

  async function look() {
    const runs = (await api.json('runs')).runs.filter(run => run.state !== 'unreadable' && (run.state === 'finished' || run.verdict));
    list(runs);
    const empty = find('empty');
    empty.hidden = runs.length > 0;
    empty.firstElementChild.textContent = t('evaluation.none');
    empty.querySelector('button').hidden = false;
    document.getElementById('vx-listen')?.classList.toggle('vx-hidden', !runs.length);
    if (!runs.length) return CALM_MS;
    const wanted = chosen;
    const path = 'runs/' + encodeURIComponent(wanted);
    const found = await api.json(path + '?events=' + 2 ** 50 + '&log=' + logAt);
    logAt = found.log_offset;
    const now = found.evaluating;
    if (wanted !== chosen) return 0;
    if (now.report_at && now.report_at !== reportAt && now.state !== 'working') {
      const read = await api.json(path + '/report');
      if (wanted !== chosen) return 0;
      report.show(read, wanted, 'voxtune transcribe --model ' + found.status.shell + ' AUDIO');
      if (before === 'working') { announce(find('verdict').textContent); changed('run'); }
      reportAt = now.report_at;
    }
    paint(now);
    before = now.state;
    return now.state === 'working' ? LIVE_MS : CALM_MS;
  }

  function paint(now) {
    const working = now.state === 'working';
    find('work').hidden = !working;
    find('result').hidden = !reportAt || working;
    find('missing').hidden = working || (now.state !== 'failed' && reportAt > 0);
    if (working) {
      const which = now.what.startsWith('base') ? 'base' : now.what.startsWith('tuned') ? 'tuned' : 'load';
      const said = t('evaluation.working_' + which, {n: now.done, all: now.total});
      if (find('doing').textContent !== said) find('doing').textContent = said;
      const share = (which === 'tuned' ? 0.5 : 0) + (now.total ? now.done / now.total / 2 : 0);
      find('bar').classList.toggle('waiting', which === 'load');
      find('bar').firstElementChild.style.inlineSize = 100 * share + '%';
      find('bar').setAttribute('aria-valuemax', '100');
      if (which === 'load') find('bar').removeAttribute('aria-valuenow'); else find('bar').setAttribute('aria-valuenow', String(Math.round(100 * share)));
    } else {
      const [what, why] = find('missing').querySelectorAll('p');
      what.textContent = t(now.state === 'failed' ? 'evaluation.failed' : 'evaluation.not_yet');
      why.textContent = [now.message, now.hint].filter(Boolean).join(' ');
    }
  }

  async function tick() {
    clearTimeout(timer);
    if (busy) { again = true; return; }
    if (document.hidden || at() !== 'evaluation') return;
    busy = true;
    let wait = LIVE_MS;
    try {
      wait = await look();
      find('offline').hidden = true;
      asked = '';
    } catch (error) {
      const text = [error.message, error.hint].filter(Boolean).join(' ');
      if (error.status === 0) { find('offline').textContent = text; find('offline').hidden = false; } else { refused(text); wait = CALM_MS; }
    }
    busy = false;
    if (again) { again = false; wait = 0; }
    timer = setTimeout(tick, wait);
  }
  const soon = () => { tick(); };

  function refused(text) {
    if (asked !== text) { find('error').textContent = text; find('error').hidden = false; }
    asked = text;
  }

  for (const button of [find('missing').querySelector('button'), find('again')]) {
    button.onclick = async () => {
      button.disabled = true;
      find('error').hidden = true;
      asked = '';
      try {
        await api.json('runs/' + encodeURIComponent(chosen) + '/evaluate', {method: 'POST', body: {}});
      } catch (error) {
        refused([error.message, error.hint].filter(Boolean).join(' '));
      }
      button.disabled = false;
      soon();
    };
  }
  find('empty').querySelector('button').onclick = () => go('training');
  find('publish').onclick = () => go('publishing');

  document.addEventListener('visibilitychange', soon);
  document.addEventListener('vx:step', event => { if (event.detail.step !== 'evaluation') report.player.stop(); soon(); });
  document.addEventListener('vx:changed', soon);
  tick();
}
