/** A card as people read it: the Markdown that our own cards are made of, as elements and plain text. What it does not know stays as it is written. */
import {make} from './run-figures.js';

const INLINE = /\\([\\`*_{}[\]()<>#+\-=.!|~&:@$])|`([^`]+)`|\*\*(.+?)\*\*|\[((?:\\.|[^\]\\])*)\]\((https?:[^\s)]+)\)/g;

/** @param {string} text @returns {{head: string, body: DocumentFragment}} what is for programs, and what is for people */
export function read(text) {
  const [, head = '', rest = text] = /^---\n([\s\S]*?)\n---\n([\s\S]*)$/.exec(text) ?? [];
  const body = document.createDocumentFragment();
  const lines = rest.split('\n');
  while (lines.length) body.append(...block(lines));
  return {head, body};
}

/** Take the lines of one block off, and give its element, if it has one. */
function block(lines) {
  const line = lines.shift();
  if (!line.trim()) return [];
  const heading = /^(#{1,4}) (.*)$/.exec(line);
  if (heading) return [inline(make('h' + Math.min(heading[1].length + 3, 6)), heading[2])];
  if (line.startsWith('```')) {
    const code = taken(lines, each => !each.startsWith('```'));
    lines.shift();
    return [Object.assign(make('pre', '', code.join('\n')), {tabIndex: 0})];
  }
  if (line.startsWith('|')) return [table([line, ...taken(lines, each => each.startsWith('|'))])];
  if (line.startsWith('- ')) {
    const list = make('ul');
    for (const each of [line, ...taken(lines, each => each.startsWith('- '))]) list.append(inline(make('li'), each.slice(2)));
    return [list];
  }
  return [inline(make('p'), [line, ...taken(lines, each => each.trim() && !/^(#|```|\||- )/.test(each))].join(' '))];
}

function taken(lines, fits) {
  const end = lines.findIndex(each => !fits(each));
  return lines.splice(0, end < 0 ? lines.length : end);
}

function table(rows) {
  const made = make('table');
  for (const [place, row] of rows.entries()) {
    if (place === 1) continue;   // the line of hyphens
    const cells = row.replace(/^\||\|$/g, '').split(/(?<!\\)\|/).map(each => each.trim());
    if (place === 0 && !cells.some(Boolean)) continue;
    const line = make('tr');
    line.append(...cells.map(each => inline(make(place ? 'td' : 'th'), each)));
    made.append(line);
  }
  const frame = Object.assign(make('div', 'vx-publishing-table'), {tabIndex: 0});
  frame.append(made);
  return frame;
}

function inline(element, text) {
  let at = 0;
  for (const found of text.matchAll(INLINE)) {
    const [all, sign, code, bold, label, link] = found;
    element.append(text.slice(at, found.index));
    at = found.index + all.length;
    if (sign) element.append(sign);
    else if (code) element.append(make('code', '', code));
    else if (bold) element.append(inline(make('strong'), bold));
    else element.append(inline(Object.assign(make('a'), {href: link, target: '_blank', rel: 'noopener'}), label));
  }
  element.append(text.slice(at));
  return element;
}
