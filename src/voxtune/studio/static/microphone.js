/** Opens the microphone raw (no echo, gain or noise processing), and tells apart every way in which that can fail. */

const RAW = {echoCancellation: false, autoGainControl: false, noiseSuppression: false};
const RESUME_MS = 1500;

/**
 * Why there is no microphone: insecure, unsupported, blocked, dismissed, none, busy or other; the words are `mic.CODE`.
 */
export class MicrophoneError extends Error {
  /** @param {string} code @param {string} [detail] */
  constructor(code, detail = '') {
    super(detail || code);
    this.name = 'MicrophoneError';
    this.code = code;
  }
}

/**
 * @typedef {object} Microphone
 * @property {number} rateHz
 * @property {string} deviceId
 * @property {{label: string, rate_hz: number, channels: ?number, echo_cancellation: ?boolean, auto_gain_control: ?boolean, noise_suppression: ?boolean}} facts
 * @property {?boolean} raw   true: nothing is processed; false: something still is; null: the browser does not say
 * @property {() => boolean} listening
 * @property {() => Promise<boolean>} resume
 * @property {() => void} close
 */

/** The reason why this page can never have a microphone, or ''. */
export function obstacle() {
  if (!window.isSecureContext) return 'insecure';
  if (!navigator.mediaDevices?.getUserMedia || !window.AudioWorkletNode) return 'unsupported';
  return '';
}

/**
 * Opens a microphone; `onChunk` then gets every sample, as Float32Array of one channel at the device's own rate.
 * @param {string} deviceId '' for the browser's choice
 * @param {{onChunk: (chunk: Float32Array) => void, onLost: () => void, onPaused: () => void}} listener
 * @returns {Promise<Microphone>}
 */
export async function openMicrophone(deviceId, {onChunk, onLost, onPaused}) {
  const reason = obstacle();
  if (reason) throw new MicrophoneError(reason);
  const stream = await ask(deviceId);
  const [track] = stream.getAudioTracks();
  const settings = track.getSettings();
  /** @type {AudioContext} */
  let context;
  try {
    context = await connect(stream, settings.sampleRate, onChunk);
  } catch (error) {
    track.stop();
    throw new MicrophoneError('other', String(error));
  }
  let open = true;
  const resume = async () => {
    // Without a gesture some browsers leave this promise open for ever.
    await Promise.race([context.resume(), new Promise((done) => setTimeout(done, RESUME_MS))]);
    return context.state === 'running';
  };
  await resume();
  track.onended = () => open && onLost();
  context.onstatechange = () => open && context.state !== 'running' && onPaused();
  return {
    rateHz: context.sampleRate,
    deviceId: settings.deviceId ?? deviceId,
    facts: factsOf(track, settings, context.sampleRate),
    raw: rawness(settings),
    listening: () => open && context.state === 'running',
    resume,
    close: () => {
      open = false;
      track.onended = null;
      for (const each of stream.getTracks()) each.stop();
      context.close().catch(() => {});
    },
  };
}

/** The microphones to choose from; names are known only after permission. @returns {Promise<{id: string, label: string}[]>} */
export async function microphones() {
  const devices = (await navigator.mediaDevices?.enumerateDevices?.().catch(() => [])) ?? [];
  return devices.filter((device) => device.kind === 'audioinput' && device.deviceId).map((device) => ({id: device.deviceId, label: device.label}));
}

/** @param {string} deviceId @returns {Promise<MediaStream>} */
async function ask(deviceId) {
  const wanted = {...RAW, channelCount: {ideal: 1}};
  const attempts = [wanted, RAW, true]; // a browser that refuses a wish is asked with fewer; what it gave is said honestly
  if (deviceId) attempts.unshift({...wanted, deviceId: {exact: deviceId}});
  for (const [i, audio] of attempts.entries()) {
    try {
      return await navigator.mediaDevices.getUserMedia({audio});
    } catch (error) {
      const chosenIsGone = deviceId && i === 0 && error.name === 'NotFoundError';
      if (error.name !== 'OverconstrainedError' && !chosenIsGone) throw await named(error);
    }
  }
  throw new MicrophoneError('none');
}

/** @param {DOMException} error */
async function named(error) {
  if (error.name === 'NotAllowedError' || error.name === 'SecurityError') {
    const permission = await navigator.permissions?.query({name: 'microphone'}).catch(() => null);
    return new MicrophoneError(permission?.state === 'prompt' ? 'dismissed' : 'blocked', error.message);
  }
  const codes = {NotFoundError: 'none', NotReadableError: 'busy', AbortError: 'busy'};
  return new MicrophoneError(codes[error.name] ?? 'other', error.name);
}

/** @param {MediaStream} stream @param {number | undefined} rateHz @param {(chunk: Float32Array) => void} onChunk */
async function connect(stream, rateHz, onChunk) {
  // 'playback' asks for large buffers: fewer lost blocks when the computer is busy. The pre-roll makes up for the delay.
  const context = new AudioContext({latencyHint: 'playback', ...(rateHz ? {sampleRate: rateHz} : {})});
  try {
    await context.audioWorklet.addModule(new URL('capture-worklet.js', import.meta.url));
    const tap = new AudioWorkletNode(context, 'vx-tap', {numberOfOutputs: 1, channelCount: 1, channelCountMode: 'explicit'});
    const silent = new GainNode(context, {gain: 0}); // a graph is only pulled when it ends in the loudspeaker
    tap.port.onmessage = (event) => onChunk(event.data);
    context.createMediaStreamSource(stream).connect(tap).connect(silent).connect(context.destination);
    return context;
  } catch (error) {
    await context.close();
    if (rateHz) return connect(stream, undefined, onChunk); // some browsers connect a microphone only at their own rate
    throw error;
  }
}

/** A name that is not too long, and not cut within a letter. @param {string} label */
export const shortened = (label) => Array.from(label).slice(0, 80).join('');

/** @param {MediaStreamTrack} track @param {MediaTrackSettings} settings @param {number} rateHz */
function factsOf(track, settings, rateHz) {
  return {
    label: shortened(track.label),
    rate_hz: rateHz,
    channels: settings.channelCount ?? null,
    echo_cancellation: settings.echoCancellation ?? null,
    auto_gain_control: settings.autoGainControl ?? null,
    noise_suppression: settings.noiseSuppression ?? null,
  };
}

/** @param {MediaTrackSettings} settings */
function rawness(settings) {
  const given = Object.keys(RAW).map((name) => settings[name]);
  if (given.some(Boolean)) return false;
  return given.every((value) => value === false) ? true : null;
}
