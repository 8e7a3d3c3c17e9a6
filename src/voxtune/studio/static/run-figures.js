/** Figures as people read them, in the visitor's language. */
import {t} from './studio.js';

const locale = () => document.documentElement.lang || 'en';

/** 0.286 -> "28.6 %" */
export const percent = rate => new Intl.NumberFormat(locale(), {style: 'percent', maximumFractionDigits: rate < 0.0995 ? 1 : 0}).format(rate);

/** 1234.5 -> "1,234.5", with at most `digits` behind the point, and `least` of them even where they are 0. */
export const number = (value, digits = 0, least = 0) => new Intl.NumberFormat(locale(), {minimumFractionDigits: least, maximumFractionDigits: digits}).format(value);

/** Bytes in gigabytes. */
export const gigabytes = bytes => number(bytes / 1e9, 1);

/** Seconds, as exact as anyone wants to know. */
export function duration(seconds) {
  const minutes = Math.max(1, Math.round(seconds / 60));
  if (seconds <= 55) return t('run.time.seconds', {s: Math.max(5, Math.ceil(seconds / 5) * 5)});
  if (minutes < 60) return t('run.time.minutes', {m: minutes});
  return t('run.time.hours', {h: Math.floor(minutes / 60), m: minutes % 60});
}

/** Seconds since 1970 as day and time. */
export const moment = seconds => new Intl.DateTimeFormat(locale(), {dateStyle: 'medium', timeStyle: 'short'}).format(new Date(seconds * 1000));

/** An element with a class and a text. */
export function make(tag, name = '', text = '') {
  const made = document.createElement(tag);
  if (name) made.className = name;
  if (text) made.textContent = text;
  return made;
}

/** How a run is called. */
export const title = run => run.name;

/** Base and best error rate of a run, or nothing. */
export function rates(run) {
  if (run.base_wer == null || run.best_wer == null) return '';
  return t('run.rates', {base: percent(run.base_wer), best: percent(run.best_wer)});
}
