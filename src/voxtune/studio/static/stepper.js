/** The bar of steps: which are open, which are done, and which one is shown. The server says what is open; the address keeps where one is. */
import {STEPS, announce, api, at, ready, setKey, t, translate} from './studio.js';

export async function mount(element, {props, trigger, watch}) {
  const list = element.querySelector('ol');
  const now = element.querySelector('.now');
  const trouble = element.querySelector('.vx-stepper-trouble');
  const [back, on] = element.querySelectorAll('.vx-stepper-small button');
  let state = {open: [STEPS[0]], done: [], suggest: STEPS[0]};
  let wanted = location.hash.slice(1);

  let built = false;
  const take = () => {
    const said = props.value;
    if (!said) return;
    setKey(said.key, said.room);
    if (said.go) wanted = said.go;
    if (built && said.seq) refresh();
  };
  watch('value', take);
  take();
  await ready();
  translate(element);

  for (const [place, step] of STEPS.entries()) {
    const item = document.createElement('li');
    const button = document.createElement('button');
    button.type = 'button';
    button.id = 'vx-step-' + step;
    button.innerHTML = '<i aria-hidden="true"></i><span></span><em class="vx-unseen"></em>';
    button.querySelector('i').textContent = place + 1;
    button.querySelector('span').textContent = t('step.' + step);
    button.onclick = () => show(step);
    item.append(button);
    list.append(item);
  }

  function paint() {
    const shown = at();
    for (const [place, step] of STEPS.entries()) {
      const button = list.children[place].firstElementChild;
      const done = state.done.includes(step);
      button.disabled = !state.open.includes(step);
      button.classList.toggle('done', done);
      button.querySelector('i').textContent = done && step !== shown ? '✓' : place + 1;
      button.querySelector('em').textContent = done ? t('page.done') : '';
      if (step === shown) button.setAttribute('aria-current', 'step'); else button.removeAttribute('aria-current');
    }
    const place = STEPS.indexOf(shown);
    now.textContent = t('page.step_of', {n: place + 1, all: STEPS.length, name: t('step.' + shown)});
    back.disabled = !beside(-1);
    on.disabled = !beside(1);
  }

  /** The next step that is open, on that side: the evaluation is not where nothing was trained, and publishing is. */
  function beside(side) {
    const steps = side < 0 ? STEPS.slice(0, STEPS.indexOf(at())).reverse() : STEPS.slice(STEPS.indexOf(at()) + 1);
    return steps.find(step => state.open.includes(step));
  }

  function show(step, {focus = true} = {}) {
    if (!state.open.includes(step)) return;
    const before = document.body.dataset.vxStep;
    document.body.dataset.vxStep = step;
    if (location.hash.slice(1) !== step) history[before ? 'pushState' : 'replaceState'](null, '', '#' + step);
    paint();
    if (before === step) return;
    document.dispatchEvent(new CustomEvent('vx:step', {detail: {step}}));
    trigger('enter_' + step);
    if (before && focus) {
      scrollTo({top: 0});
      const heading = document.querySelector('#panel-' + step + ' h2');
      if (heading) { heading.tabIndex = -1; heading.focus({preventScroll: true}); }
      announce(now.textContent);
    }
  }

  async function refresh() {
    try {
      state = await api.json('steps');
      trouble.hidden = true;
    } catch (error) {
      trouble.textContent = [error.message, error.hint].filter(Boolean).join(' ');
      trouble.hidden = false;
      setTimeout(refresh, 2000);   // the server is not there, or cannot read what it has: asked again until it can
      return;
    }
    if (wanted && !state.open.includes(wanted)) wanted = '';
    const first = !document.body.dataset.vxStep;
    if (wanted || first) show(wanted || state.suggest, {focus: !first}); else paint();
    wanted = '';
  }

  back.onclick = () => show(beside(-1));
  on.onclick = () => show(beside(1));
  document.addEventListener('vx:go', event => { wanted = event.detail.step; refresh(); });
  document.addEventListener('vx:changed', refresh);
  addEventListener('popstate', () => { const step = location.hash.slice(1); if (STEPS.includes(step)) show(step); });
  built = true;
  await refresh();
}
