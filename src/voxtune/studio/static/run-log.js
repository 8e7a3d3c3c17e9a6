/** The log of a run: it follows its end for whoever is there, and leaves alone who reads further up. */

const MOST = 400_000;
const NEAR_PX = 24;
/** Colours, and what was written over on a terminal. */
const COLOURS = /\u001b\[[0-9;?]*[A-Za-z]/g;
const OVERWRITTEN = /[^\n\r]*\r+(?=[^\n\r])/g;

export class Log {
  /** Byte from which the next piece is wanted; -1 for the end of what there is. */
  offset = -1;
  #last = '';

  constructor(pane) {
    this.pre = pane.querySelector('pre');
    this.jump = pane.querySelector('button');
    this.text = this.pre.appendChild(document.createTextNode(''));
    this.following = true;
    this.pre.onscroll = () => {
      if (!this.pre.clientHeight) return;   // hidden
      this.following = this.#isAtEnd;
      if (this.following) this.jump.hidden = true;
    };
    new ResizeObserver(() => { if (this.following) this.#toEnd(); }).observe(this.pre);
    this.jump.onclick = () => { this.#toEnd(); this.pre.focus(); };
  }

  get #isAtEnd() {
    return this.pre.scrollHeight - this.pre.scrollTop - this.pre.clientHeight < NEAR_PX;
  }

  #toEnd() {
    this.pre.scrollTop = this.pre.scrollHeight;
    this.jump.hidden = true;
  }

  /** Forget all, for another run. */
  clear() {
    this.offset = -1;
    this.#last = '';
    this.text.data = '';
    this.following = true;
    this.jump.hidden = true;
  }

  /** @param {{log: string, log_from: number, log_offset: number}} piece */
  add(piece) {
    if (this.offset >= 0 && piece.log_from !== this.offset) this.clear();   // another file than before
    this.offset = piece.log_offset;
    if (!piece.log) return;
    const new_ = (this.#last + piece.log).replace(COLOURS, '').replace(OVERWRITTEN, '');
    this.text.replaceData(this.text.length - this.#last.length, this.#last.length, new_);
    this.#last = new_.slice(new_.lastIndexOf('\n') + 1);
    if (this.text.length > MOST) {
      const before = this.pre.scrollHeight;
      const cut = this.text.data.indexOf('\n', this.text.length - MOST / 2) + 1;
      this.text.deleteData(0, cut);
      if (!this.following) this.pre.scrollTop -= before - this.pre.scrollHeight;
    }
    if (this.following) this.#toEnd(); else this.jump.hidden = false;
  }
}
