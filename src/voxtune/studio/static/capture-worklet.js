/** The tap on the microphone: runs on the audio thread and hands every sample to the page, 1024 at a time. */

const BATCH = 1024;

class Tap extends AudioWorkletProcessor {
  #batch = new Float32Array(BATCH);
  #filled = 0;

  process(inputs) {
    // The node mixes down to one channel. No input for a moment is silence: the count of samples must go on.
    const heard = inputs[0][0] ?? new Float32Array(128);
    this.#batch.set(heard, this.#filled);
    this.#filled += heard.length;
    if (this.#filled >= BATCH) {
      this.port.postMessage(this.#batch, [this.#batch.buffer]); // moved, not copied
      this.#batch = new Float32Array(BATCH);
      this.#filled = 0;
    }
    return true;
  }
}

registerProcessor('vx-tap', Tap);
