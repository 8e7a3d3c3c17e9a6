/** The publishing step. What it is made of is fetched when somebody comes to it: few do at once, and the page is there sooner for all. */
import {at} from './studio.js';

const STEP = 'publishing';

export async function mount(element) {
  await new Promise(resolve => {
    const look = () => { if (at() === STEP) { document.removeEventListener('vx:step', look); resolve(); } };
    document.addEventListener('vx:step', look);
    look();
  });
  const {open} = await import('./publishing-page.js');
  await open(element.querySelector('.vx-publishing'));
}
