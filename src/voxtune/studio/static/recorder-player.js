/** Plays one take at a time, from the server or from what is still kept here. */

export class Player {
  #audio = new Audio();
  #url = '';
  playing = '';

  /** @param {() => void} onChange */
  constructor(onChange) {
    this.onChange = onChange;
    this.#audio.onended = this.#audio.onerror = () => this.stop();
  }

  /**
   * Plays a take, or stops when it is already playing.
   * @param {string} key @param {() => Promise<Blob>} load rejects when there is nothing to play
   */
  async toggle(key, load) {
    const again = this.playing === key;
    this.stop();
    if (again) return;
    this.playing = key;
    this.onChange();
    try {
      const blob = await load();
      if (this.playing !== key) return; // stopped while it was on its way
      this.#url = URL.createObjectURL(blob);
      this.#audio.src = this.#url;
      await this.#audio.play();
    } catch (error) {
      if (this.playing !== key) return;
      this.stop();
      throw error;
    }
  }

  stop() {
    if (!this.playing) return;
    this.playing = '';
    this.#audio.pause();
    this.#audio.removeAttribute('src');
    URL.revokeObjectURL(this.#url);
    this.onChange();
  }
}
