/** Small choices that this browser remembers; where it may not (a private window, a blocked frame) they last as long as the page. */

const here = new Map();

/** @param {string} name @param {string} otherwise */
export function remembered(name, otherwise) {
  try {
    return localStorage.getItem(`vx-recorder-${name}`) ?? otherwise;
  } catch {
    return here.get(name) ?? otherwise;
  }
}

/** @param {string} name @param {string} value */
export function remember(name, value) {
  here.set(name, value);
  try {
    localStorage.setItem(`vx-recorder-${name}`, value);
  } catch {
    // it lasts as long as the page
  }
}
