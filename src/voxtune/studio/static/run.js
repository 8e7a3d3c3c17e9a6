/** The live view of a training run. It only looks: the run is a process of its own, and goes on whether or not anyone does. */
import {announce, api, at, changed, go, ready, t, translate} from './studio.js';
import {Curve, Metrics} from './run-curves.js';
import {number, percent} from './run-figures.js';
import {Log} from './run-log.js';
import {ACTIVE, card, earlier, heard, sentence} from './run-view.js';

const LIVE_MS = 1000;
const CALM_MS = 3000;

export async function mount(element, {trigger}) {
  const root = element.querySelector('.vx-run');
  const find = name => root.querySelector('.vx-run-' + name);
  await ready();
  translate(root);

  const log = new Log(find('pane'));
  const say = (step, texts) => t('run.at_step', {n: step}) + ': ' + texts.join(', ');
  const loss = new Curve(find('loss'), value => number(value, 2), say);
  const wer = new Curve(find('wer'), percent, say);
  let metrics = new Metrics();
  let eventsAt = 0;
  let runs = [];
  let chosen = '';
  let pinned = false;   // whether a person chose it
  let before = {};      // state of each run when it was seen last
  let timer = 0;
  let busy = false;
  let again = false;
  let listedAt = 0;
  let arrive = false;   // whether to bring a run that works into sight

  const open = id => {
    if (id === chosen) return;
    chosen = id;
    metrics = new Metrics();
    eventsAt = 0;
    log.clear();
    find('ask').hidden = find('error').hidden = true;
    find('failure').hidden = true;
  };

  /** Which run to show: a new one that works, else the one that was chosen, else the newest. */
  function follow() {
    const started = runs.find(run => ACTIVE.includes(run.state) && !ACTIVE.includes(before[run.id] ?? ''));
    if (started) {
      if (started.id !== chosen) { pinned = false; open(started.id); }
      arrive = true;
    }
    if (!runs.some(run => run.id === chosen)) { pinned = false; chosen = ''; }
    if (!pinned) { const best = runs.find(run => ACTIVE.includes(run.state)) ?? (chosen ? null : runs[0]); if (best) open(best.id); }
    for (const run of runs) noticed(run);
  }

  /** Tell everyone once when a run has ended. */
  function noticed(run) {
    const last = before[run.id];
    before[run.id] = run.state;
    if (last === undefined || last === run.state) return;
    if (run.id === chosen) announce(sentence({...run, waits_for: ''}));
    if (!ACTIVE.includes(last) || ACTIVE.includes(run.state)) return;
    changed('run');
  }

  async function look() {
    if (Date.now() - listedAt >= CALM_MS - 100 || !chosen) {
      runs = (await api.json('runs')).runs;
      listedAt = Date.now();
      follow();
    }
    find('empty').hidden = runs.length > 0;
    find('empty').firstElementChild.textContent = t('run.none');
    if (!runs.length) { root.dataset.state = 'none'; find('body').hidden = true; find('earlier').hidden = true; return CALM_MS; }
    earlier(find('earlier'), runs, chosen, id => { pinned = true; open(id); soon(); find('card').scrollIntoView({block: 'nearest'}); });
    const wanted = chosen;
    const short = runs.find(run => run.id === wanted);
    find('body').hidden = false;
    if (short.state === 'unreadable') {
      card(root, {...short, memory: {}, total_steps: 0}, metrics);
      for (const part of ['curves', 'log', 'warnings', 'samples']) find(part).hidden = true;
      return CALM_MS;
    }
    const found = await api.json('runs/' + encodeURIComponent(wanted) + '?events=' + eventsAt + '&log=' + log.offset);
    if (wanted !== chosen) return 0;   // another was chosen meanwhile
    eventsAt = found.events_offset;
    metrics.add(found.events);
    log.add(found);
    noticed(found.status);
    paint(found);
    if (arrive) {
      arrive = false;
      find('card').scrollIntoView({block: 'center', behavior: 'smooth'});
    }
    if (found.log_offset < found.log_size) return 0;
    return ACTIVE.includes(found.status.state) ? LIVE_MS : CALM_MS;
  }

  function paint({status}) {
    card(root, status, metrics);
    heard(root, metrics);
    find('log').hidden = false;
    const [training, validation, rate] = [metrics.of('loss'), metrics.of('eval_loss'), metrics.of('eval_wer')];
    find('curves').hidden = !training.length && !rate.length;
    const ends = points => (points.length ? {from: points[0][1], to: points.at(-1)[1]} : {from: 0, to: 0});
    loss.show([{name: t('run.curve.training'), kind: 'training', points: training}, {name: t('run.curve.validation'), kind: 'validation', points: validation}],
      {last: status.total_steps, label: t('run.curve.loss_label', spoken(ends(training), value => number(value, 2)))});
    wer.show([{name: t('run.curve.words'), kind: 'validation', points: rate}], {last: status.total_steps, label: t('run.curve.wer_label', spoken(ends(rate), percent))});
  }
  const spoken = ({from, to}, format) => ({from: format(from), to: format(to)});

  async function tick() {
    clearTimeout(timer);
    if (busy) { again = true; return; }
    if (document.hidden || at() !== 'training') return;   // whoever comes back is shown all that is new
    busy = true;
    let wait = LIVE_MS;
    try {
      wait = await look();
      find('offline').hidden = true;
    } catch (error) {
      if (error.status === 0) { if (chosen || runs.length) find('offline').hidden = false; } else { listedAt = 0; wait = CALM_MS; refused(error); }
    }
    busy = false;
    if (again) { again = false; wait = 0; }
    timer = setTimeout(tick, wait);
  }
  const soon = () => { listedAt = 0; tick(); };

  function refused(error) {
    find('error').textContent = [error.message, error.hint].filter(Boolean).join(' ');
    find('error').hidden = false;
  }

  /** Do something with the run that is shown, once at a time. */
  async function act(button, path, options) {
    button.disabled = true;
    find('error').hidden = true;
    try {
      return await api.json(path, {method: 'POST', ...options});
    } catch (error) {
      refused(error);
      return null;
    } finally {
      button.disabled = false;
      soon();
    }
  }
  const here = more => 'runs/' + encodeURIComponent(chosen) + '/' + more;

  find('stop').onclick = () => { find('ask').hidden = false; find('yes').focus(); };
  find('no').onclick = () => { find('ask').hidden = true; find('stop').focus(); };
  find('ask').onkeydown = event => { if (event.key === 'Escape') find('no').click(); };
  find('yes').onclick = async () => {
    find('say').textContent = t('run.say.stopping');
    if (await act(find('yes'), here('stop'))) { find('ask').hidden = true; announce(t('run.say.stopping')); }
  };
  for (const button of root.querySelectorAll('.vx-run-resume')) {
    button.onclick = async () => { if (await act(button, here('resume'), {body: {}, signal: AbortSignal.timeout(60_000)})) changed('run'); };
  }
  for (const button of root.querySelectorAll('.vx-run-again')) button.onclick = () => trigger('again', {run: chosen});
  find('see').onclick = () => go('evaluation');
  find('download').onclick = async () => {
    const given = await act(find('download'), here('ticket'));
    if (!given) return;
    const link = document.createElement('a');
    link.href = new URL(given.url, document.baseURI.replace(/[?#].*$/, ''));
    link.download = '';
    link.click();
  };

  // Trackio listens on the machine that the studio runs on, and nowhere else.
  find('trackio').hidden = !['localhost', '127.0.0.1', '[::1]'].includes(location.hostname);
  find('trackio').onclick = async () => {
    find('trackio-note').textContent = t('run.trackio_starting');
    const given = await act(find('trackio'), 'trackio', {signal: AbortSignal.timeout(90_000)});
    find('trackio-note').textContent = '';
    if (!given) return;
    find('board').href = given.url;
    find('board').hidden = false;
    find('trackio').hidden = true;
    find('board').focus();
    announce(t('run.trackio_open'));
  };

  document.addEventListener('visibilitychange', soon);
  document.addEventListener('vx:step', soon);
  document.addEventListener('vx:changed', () => { if (at() === 'training') soon(); });
  tick();
}
