/** Plays one recording at a time and says how far it is. */

export class Player {
  #audio = new Audio();
  #url = '';
  #frame = 0;
  playing = '';

  /**
   * @param {(key: string) => void} onChange key of what plays from now on; '' for nothing
   * @param {?(key: string, share: number) => void} onShare how much of it was heard, 0 to 1, at each frame
   */
  constructor(onChange, onShare = null) {
    this.onChange = onChange;
    this.onShare = onShare;
    this.#audio.onended = this.#audio.onerror = () => this.stop();
  }

  /**
   * Plays a recording, or stops it when it is playing.
   * @param {string} key @param {() => Promise<Blob>} load rejects when there is nothing to play
   */
  async toggle(key, load) {
    const again = this.playing === key;
    this.stop();
    if (again) return;
    this.playing = key;
    this.onChange(key);
    try {
      const blob = await load();
      if (this.playing !== key) return; // stopped while it was on its way
      this.#url = URL.createObjectURL(blob);
      this.#audio.src = this.#url;
      await this.#audio.play();
      if (this.onShare) this.#follow();
    } catch (error) {
      if (this.playing !== key) return;
      this.stop();
      throw error;
    }
  }

  #follow() {
    const {currentTime, duration} = this.#audio;
    if (!this.playing) return;
    this.onShare(this.playing, duration > 0 ? currentTime / duration : 0);
    this.#frame = requestAnimationFrame(() => this.#follow());
  }

  stop() {
    if (!this.playing) return;
    this.playing = '';
    cancelAnimationFrame(this.#frame);
    this.#audio.pause();
    this.#audio.removeAttribute('src');
    URL.revokeObjectURL(this.#url);
    this.onChange('');
  }
}
