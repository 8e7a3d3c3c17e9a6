/**
 * The outbox: a take lives here from the moment it is finished until the server has acknowledged it.
 * It is on this computer's disk (IndexedDB) before anything is sent; a reload, a crash or a dead server loses nothing.
 */

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 10_000;
const HOPELESS = new Set([413, 415]); // too large, not a WAV: sending it again cannot help
const HOLDS_ALL = new Set([0, 401, 403, 429, 502, 503, 504, 507]); // about the server or the line: the next take would fare no better

/**
 * @typedef {{key: string, phrase: string, wav: ArrayBuffer, device: string, room?: string}} Item   `room`: the workspace that it was recorded for
 * @typedef {{status: number, body: any}} Answer   status 0: no answer
 * @typedef {{durable: boolean, put: (item: Item) => Promise<void>, all: () => Promise<Item[]>, delete: (key: string) => Promise<void>}} Store
 */

/**
 * A key that sorts by time and after `last`, also when the clock was set back: the server takes the greatest key as the newest take.
 * @param {string} [last]
 */
export function takeKey(last = '') {
  const after = last ? parseInt(last.slice(0, 9), 36) + 1 : 0;
  const random = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
  return Math.max(Date.now(), after).toString(36).padStart(9, '0') + random;
}

export class Outbox {
  /**
   * What is not acknowledged yet; `kept` after a try that failed, `refused` when it will not be tried again by this page.
   * @type {Map<string, Item & {kept?: boolean, refused?: boolean, answer?: Answer}>}
   */
  items = new Map();
  /** How many takes of other workspaces wait in this browser: they are neither sent nor given up here. */
  elsewhere = 0;
  #inMemory = new Set();
  #sending = false;
  #again = false;
  #wait = FIRST_WAIT_MS;
  #timer;

  /**
   * @param {Store} store
   * @param {(item: Item) => Promise<Answer>} send
   * @param {{saved: (item: Item, body: any) => void, refused: (item: Item, answer: Answer) => void, waiting: (item: Item, answer: Answer) => void}} tell
   * @param {() => string} [room] the workspace that this page shows
   */
  constructor(store, send, tell, room = () => '') {
    this.store = store;
    this.send = send;
    this.tell = tell;
    this.room = room;
  }

  /** True when leaving the page would lose nothing. */
  get safe() {
    return this.#inMemory.size === 0;
  }

  /** The newest unsent take of a phrase, if it is newer than the one that is saved. @param {string} phrase @param {string} [saved] its key */
  of(phrase, saved = '') {
    return [...this.items.values()].filter((item) => item.phrase === phrase && item.key > saved).sort(byKey).at(-1);
  }

  /** Takes of before there were rooms have none: they are anyone's. @param {Item} item */
  #isOwn(item) {
    return !item.room || item.room === this.room();
  }

  /** Reads what this browser still keeps of this workspace, and forgets what another tab has sent meanwhile. */
  async load() {
    const before = new Set(this.items.keys());
    const all = await this.store.all().catch(() => []);
    const stored = new Map(all.filter((item) => this.#isOwn(item)).map((item) => [item.key, item]));
    this.elsewhere = all.length - stored.size;
    for (const [key, item] of stored) if (!this.items.has(key)) this.items.set(key, item);
    for (const key of before) if (!stored.has(key) && !this.#inMemory.has(key)) this.items.delete(key);
  }

  /** Keeps a take; resolves when it is as safe as this browser allows. @param {Item} item */
  async add(item) {
    item.room ??= this.room();
    this.items.set(item.key, item);
    this.#inMemory.add(item.key);
    try {
      await this.store.put(item);
      if (this.store.durable) this.#inMemory.delete(item.key);
    } catch {
      // A full or forbidden disk: the take stays in memory, `safe` says so and the page offers it as a download.
    }
  }

  /** Sends all there is, oldest first; tries again by itself until every take has found its place or was refused. */
  async flush() {
    if (this.#sending) {
      this.#again = true;
      return;
    }
    this.#sending = true;
    clearTimeout(this.#timer);
    let left;
    let held;
    try {
      do {
        this.#again = false;
        ({left, held} = await this.#round());
      } while (this.#again && !held);
    } finally {
      this.#sending = false;
    }
    if (!left) {
      this.#wait = FIRST_WAIT_MS;
      return;
    }
    this.#timer = setTimeout(() => this.flush(), this.#wait);
    this.#wait = Math.min(2 * this.#wait, LONGEST_WAIT_MS);
  }

  /** Gives a take up. @param {string} key */
  async drop(key) {
    this.items.delete(key);
    this.#inMemory.delete(key);
    await this.store.delete(key).catch(() => {}); // at worst it is sent once more: the server knows its key
  }

  /** One try for each take; `left`: some are to be sent again, `held`: the rest was not tried. */
  async #round() {
    let left = false;
    for (const item of [...this.items.values()].filter((each) => !each.refused && this.#isOwn(each)).sort(byKey)) {
      const answer = await this.send(item).catch(() => NO_ANSWER);
      if (answer.status >= 200 && answer.status < 300) {
        await this.drop(item.key);
        this.tell.saved(item, answer.body);
        continue;
      }
      item.kept = true;
      if (isRefusal(answer)) {
        item.refused = true; // it stays on the disk: only a person gives a take up
        this.tell.refused(item, answer);
        continue;
      }
      left = true;
      this.tell.waiting(item, HOPELESS.has(answer.status) ? NO_ANSWER : answer);
      if (HOLDS_ALL.has(answer.status)) return {left, held: true};
    }
    return {left, held: false};
  }
}

/** @type {Answer} */
const NO_ANSWER = {status: 0, body: null};

/** Whether the studio itself will never take this one; a proxy's 413 is not the studio's. @param {Answer | undefined} answer */
export const isRefusal = (answer) => HOPELESS.has(answer?.status) && typeof answer.body?.error === 'string';

/** A refusal of one take (say, of a phrase that the server does not know), which a person may give up. @param {number} status */
export const isAboutOneTake = (status) => status >= 400 && status < 500 && status !== 401 && status !== 403 && status !== 429;

/** @param {Item} a @param {Item} b */
const byKey = (a, b) => (a.key < b.key ? -1 : 1);

/** The browser's disk, or memory where there is none (a private window). @returns {Promise<Store>} */
export async function openStore(name = 'voxtune') {
  try {
    return diskStore(await openDatabase(name));
  } catch {
    return memoryStore();
  }
}

/** @returns {Store} */
export function memoryStore() {
  const items = new Map();
  return {durable: false, put: async (item) => void items.set(item.key, item), all: async () => [...items.values()], delete: async (key) => void items.delete(key)};
}

/** @param {IDBDatabase} database @returns {Store} */
function diskStore(database) {
  const run = (mode, work) =>
    new Promise((resolve, reject) => {
      const transaction = database.transaction('takes', mode, {durability: 'strict'});
      const request = work(transaction.objectStore('takes'));
      transaction.commit(); // at once: a page that is closing would not live to see it commit by itself
      transaction.oncomplete = () => resolve(request.result);
      transaction.onerror = transaction.onabort = () => reject(transaction.error);
    });
  return {
    durable: true,
    put: ({key, phrase, wav, device, room}) => run('readwrite', (takes) => takes.put({key, phrase, wav, device, room})),
    all: () => run('readonly', (takes) => takes.getAll()),
    delete: (key) => run('readwrite', (takes) => takes.delete(key)),
  };
}

/** @param {string} name @returns {Promise<IDBDatabase>} */
function openDatabase(name) {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(name, 1);
    request.onupgradeneeded = () => request.result.createObjectStore('takes', {keyPath: 'key'});
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
    setTimeout(() => reject(new Error('the browser did not open its store')), 4000);
  });
}
