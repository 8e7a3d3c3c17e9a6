/** The reading list as the page knows it: rows, the current one, and which comes next. The server owns it; this is its latest answer. */

/**
 * @typedef {{take: string, seconds: number, problems: string[], accepted: boolean, takes: number}} SavedTake
 * @typedef {{phrase: string, text: string, source: string, take: ?SavedTake}} Row
 * @typedef {{recorded: number, good: number, rows: number, max: number, minutes: number, coverage: number}} Progress
 * @typedef {{language: string, name: string, dir: string, source: string, notice: string, attribution: string, rows: Row[], progress: Progress, can_add: boolean}} ReadingJson
 */

const NOTHING = {recorded: 0, good: 0, rows: 0, max: 100, minutes: 0, coverage: 0};

export class Reading {
  /** @type {ReadingJson} */
  now = {language: '', name: '', dir: 'ltr', source: '', notice: '', attribution: '', rows: [], progress: NOTHING, can_add: false};
  index = 0;
  loaded = false;

  get rows() {
    return this.now.rows;
  }

  /** The row that is read next. @returns {Row | undefined} */
  get current() {
    return this.rows[this.index];
  }

  /**
   * Takes over the server's list and stays on the same phrase where that is still in it; else on the same place
   * of the same language (a phrase was replaced), else on the first that is to do.
   * @param {ReadingJson} json @param {(row: Row) => boolean} isDone
   */
  apply(json, isDone) {
    const [phrase, language, first] = [this.current?.phrase, this.now.language, !this.loaded];
    this.now = {...this.now, ...json};
    this.loaded = true;
    const same = this.place(phrase);
    if (same >= 0 && !first) this.index = same;
    else if (first || language !== json.language || !this.current) this.index = Math.max(0, this.nextToDo(-1, isDone));
  }

  /** The place of a phrase, or -1. @param {string | undefined} phrase */
  place(phrase) {
    return this.rows.findIndex((row) => row.phrase === phrase);
  }

  /** Takes in one row as the server has it now; false when it is not in the list. @param {Row} row @param {Progress} [progress] */
  replace(row, progress) {
    if (progress) this.now.progress = progress;
    const place = this.place(row?.phrase);
    if (place >= 0) this.rows[place] = row;
    return place >= 0;
  }

  /** The next row to do after a place, from the top again at the end; -1 when all are done. @param {number} after @param {(row: Row) => boolean} isDone */
  nextToDo(after, isDone) {
    const {length} = this.rows;
    for (let step = 1; step <= length; step++) {
      const place = (after + step) % length;
      if (!isDone(this.rows[place])) return place;
    }
    return -1;
  }
}

/** Whether nothing is left to say against a take. @param {?SavedTake} take */
export const isGood = (take) => Boolean(take) && (take.accepted || take.problems.length === 0);
