'use strict';

const $ = (id) => document.getElementById(id);

// ---- Words and figures

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const tenth = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const date = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'medium' });

const number = (n) => (Math.abs(n) < 10 ? tenth : whole).format(n);
const some = (n) => (n ? number(n) : '');
const many = (n, one, more) => `${whole.format(n)} ${n === 1 ? one : more}`;

/** @param {number} ms @returns {string} such as "850 ms", "12 s", "3 min" */
function duration(ms) {
  if (ms > 0 && ms < 0.05) return '< 0.1 ms';
  if (ms < 1000) return `${number(ms)} ms`;
  const units = [['s', 1000], ['min', 60_000], ['h', 3_600_000], ['d', 86_400_000]];
  const [unit, size] = units.findLast(([, size]) => ms >= size);
  return `${number(Math.floor((ms / size) * 10) / 10)} ${unit}`;
}
const maybe = (ms) => (ms ? duration(ms) : '');

/** Seconds that count down keep their width. */
const countdown = (ms) => (!ms ? '' : ms < 100_000 ? `${(ms / 1000).toFixed(1)} s` : duration(ms));

const unseen = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** Strangers' text: what does not show or turns the line around is spelled out, what is long is cut. */
function plain(text, most = 160) {
  let s = String(text ?? '');
  const length = s.length;
  if (length > most) s = s.slice(0, most).replace(/[\ud800-\udbff]$/, '');
  s = s.replace(unseen, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);
  return length > most ? `${s}… (${whole.format(length)} characters)` : s;
}

const word = (s) => plain(s).replaceAll('_', ' ').replace('half open', 'half-open');

// ---- The document: everything is text, and is touched only where it differs

function write(node, text) {
  if (node.textContent === text) return;
  if (node.firstChild?.nodeType === Node.TEXT_NODE) node.firstChild.data = text;
  else node.textContent = text;
}

function attribute(node, name, value) {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

function element(parent, tag, className = '') {
  const e = document.createElement(tag);
  if (className) e.className = className;
  return parent.appendChild(e);
}

function drawing(parent, tag, attributes) {
  const e = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) e.setAttribute(name, value);
  return parent.appendChild(e);
}

// ---- Cells: what makes one in an element returns what updates it from a row

const text = (of) => (td) => (row) => write(td, of(row));

const classed = (className, cell) => (td) => {
  td.className = className;
  return cell(td);
};

const figure = (of) => classed('figure', text(of));

const name = (of, otherwise = '') => (td) => {
  td.className = 'name';
  return (row) => {
    const full = of(row);
    write(td, plain(full) || otherwise);
    attribute(td, 'title', plain(full, 1000));
  };
};

const shapes = { good: '●', warn: '△', bad: '▲', none: '○' };

const state = (level, words) => (td) => {
  const badge = element(td, 'span', 'badge');
  const shape = element(badge, 'span', 'shape');
  shape.setAttribute('aria-hidden', 'true');
  const said = element(badge, 'span');
  return (row) => {
    attribute(badge, 'data-level', level(row));
    write(shape, shapes[level(row)]);
    write(said, words(row));
  };
};

/** A figure with a bar of its share of the most there can be. */
const share = (part, most) => (td) => {
  td.className = 'figure';
  const said = element(td, 'span');
  const bar = element(td, 'span', 'bar');
  const fill = element(bar, 'span');
  return (row) => {
    const [n, of] = [part(row) ?? 0, most(row) ?? 0];
    write(said, of || n ? `${whole.format(n)}${of ? ` of ${whole.format(of)}` : ''}` : '');
    bar.hidden = !of;
    td.classList.toggle('blank', !of && !n);
    const full = of ? Math.min(1, n / of) : 0;
    attribute(bar, 'data-level', full >= 0.8 ? 'warn' : 'good');
    fill.style.width = `${Math.round(full * 100)}%`;
  };
};

/** Lines over the minute's whole seconds. The one under way would always look like a fall. */
const chart = (unit, ...series) => (td) => {
  td.className = 'graph';
  const box = element(td, 'div', 'chart');
  box.setAttribute('role', 'img');
  const said = element(box, 'span', 'said');
  const figures = series.map((s) => {
    const figure = element(said, 'b', s.look);
    element(said, 'span').textContent = ` ${s.name} `;
    return figure;
  });
  const top = element(box, 'span', 'top');
  const svg = drawing(box, 'svg', { viewBox: '0 0 58 20', preserveAspectRatio: 'none', 'aria-hidden': 'true' });
  const paths = series.map((s) => [drawing(svg, 'path', { class: `area ${s.look}` }), drawing(svg, 'path', { class: `line ${s.look}` })]);
  return (row) => {
    const values = series.map((s) => (s.of(row) ?? []).slice(0, -1));
    const most = Math.max(1, ...values.flat()); // of the scale
    const now = values.map((v) => v.at(-1) ?? 0);
    figures.forEach((f, i) => {
      write(f, unit(now[i]));
      f.classList.toggle('zero', !now[i]);
    });
    const peak = Math.max(0, ...values.flat());
    write(top, peak ? `max ${unit(peak)}` : '');
    attribute(box, 'aria-label', series.map((s, i) => `${s.name}: ${unit(now[i])} now, at most ${unit(Math.max(0, ...values[i]))}`).join('; '));
    paths.forEach(([area, line], i) => {
      const d = trace(values[i], most, series[i].gaps);
      attribute(line, 'd', d);
      attribute(area, 'd', series[i].gaps || !d ? '' : `${d}V20H0Z`);
    });
  };
};

/** @returns {string} the path through values; with gaps, zero means that there is none */
function trace(values, most, gaps) {
  let d = '', down = false;
  values.forEach((v, x) => {
    if (gaps && !v) { down = false; return; }
    d += `${down ? 'L' : 'M'}${x} ${(19.5 - (19 * v) / most).toFixed(2)}${down ? '' : 'h0'}`;
    down = true;
  });
  return d;
}

const perSecond = (n) => `${number(n)}/s`;
const time = (ms) => (ms ? duration(ms) : '–');

/** @returns {string} the address, if a browser may go there without harm */
function harmless(address) {
  try {
    const url = new URL(address ?? '');
    return ['http:', 'https:'].includes(url.protocol) ? url.href : '';
  } catch {
    return '';
  }
}

const link = (td) => {
  const a = document.createElement('a');
  a.target = '_blank';
  a.rel = 'noopener noreferrer';
  return (row) => {
    const id = plain(row.trace, 64);
    const address = harmless(row.link);
    if (!address) {
      a.remove();
      write(td, id);
      return;
    }
    if (a.parentNode !== td) td.replaceChildren(a);
    write(a, id);
    attribute(a, 'href', address);
    attribute(a, 'aria-label', `trace ${id}, in a new tab`);
  };
};

function showTime(node, ms, format = clock) {
  const at = new Date(ms || 0);
  write(node, format.format(at));
  attribute(node, 'datetime', at.toISOString());
  return at;
}

const moment = (td) => {
  const t = element(td, 'time');
  return (row) => {
    const at = showTime(t, row.at);
    attribute(t, 'title', row.count > 1 ? `since ${clock.format(new Date(row.began || row.at || 0))}` : at.toISOString());
  };
};

const place = (td) => {
  td.className = 'name';
  const parts = ['key', 'endpoint', 'route', 'priority'].map((field) => {
    const part = element(td, 'span', `part ${field}`);
    td.append(' ');
    return [field, part];
  });
  return (row) => {
    for (const [field, span] of parts) write(span, plain(row[field]));
    attribute(td, 'title', plain(parts.map(([field]) => row[field]).filter(Boolean).join('  '), 1000));
  };
};

// ---- Tables: a row per thing, kept as long as the thing is there

class Table {
  /**
   * @param {string} id of the section, and of the list in a frame
   * @param {(row: object) => string} identity of the thing that a row shows
   * @param {(row: object) => string} level of its trouble: good, warn, bad, none
   * @param {Array} cells one for each column
   * @param {string} bad what the worst level is called
   */
  constructor(id, identity, level, cells, bad) {
    Object.assign(this, { id, identity, level, cells, bad });
    const part = (selector) => $(id).querySelector(selector);
    this.body = part('tbody');
    this.box = part('.box');
    this.empty = part('.empty');
    this.more = part('.more');
    this.count = part('.count');
    this.heads = [...$(id).querySelectorAll('th')];
    this.titled = this.heads.findIndex((th) => /^(Key|Pool|Endpoint|Last at)$/.test(th.textContent));
    this.rows = new Map();
    part('table').setAttribute('role', 'table'); // and so on, for a card's elements are no table's
    this.body.setAttribute('role', 'rowgroup');
    new ResizeObserver(() => this.reach()).observe(part('table'));
  }

  render(list, left, terms) {
    const held = heldRows(this.body);
    const wanted = new Map();
    for (const thing of list) {
      let key = this.identity(thing);
      while (wanted.has(key)) key += ' ';
      const row = this.rows.get(key) ?? this.add();
      row.gone = false;
      for (const update of row.updates) update(thing);
      attribute(row.tr, 'data-level', this.level(thing));
      wanted.set(key, row);
    }
    for (const [key, row] of this.rows) {
      if (wanted.has(key)) continue;
      row.gone = held.has(row.tr) && wanted.size < 200; // what is being read does not vanish
      if (row.gone) wanted.set(key, row);
      else row.tr.remove();
    }
    for (const { tr, gone } of wanted.values()) tr.classList.toggle('gone', gone);
    this.rows = wanted;
    this.arrange(held);
    this.filter(terms);
    this.empty.hidden = wanted.size > 0;
    this.box.hidden = wanted.size === 0;
    this.more.hidden = !left;
    write(this.more, left ? `${whole.format(left)} more not shown` : '');
    this.tell(list, left);
  }

  add() {
    const tr = document.createElement('tr');
    tr.setAttribute('role', 'row');
    const updates = this.cells.map((cell, i) => {
      const td = element(tr, i === this.titled ? 'th' : 'td');
      if (i === this.titled) td.scope = 'row';
      td.setAttribute('role', i === this.titled ? 'rowheader' : 'cell');
      td.dataset.label = this.heads[i].textContent;
      const update = cell(td);
      this.heads[i].className = td.className;
      return update;
    });
    return { tr, updates };
  }

  /** Puts the rows in order. Those that hold the focus or a selection stay, the others move around them. */
  arrange(held) {
    let next = this.body.firstChild;
    for (const { tr } of this.rows.values()) {
      if (tr === next) next = next.nextSibling;
      else if (!held.has(tr)) this.body.insertBefore(tr, next);
      else if (next && next.compareDocumentPosition(tr) & Node.DOCUMENT_POSITION_FOLLOWING) next = tr.nextSibling;
    }
  }

  filter(terms) {
    this.shown = 0;
    for (const { tr } of this.rows.values()) {
      const text = terms.length ? tr.textContent.toLowerCase() : '';
      tr.hidden = !terms.every((t) => text.includes(t)) && !(this.id === 'traffic' && tr === this.body.firstChild);
      if (!tr.hidden) this.shown++;
    }
  }

  tell(list, left) {
    const all = list.length + (left ?? 0);
    const bad = this.bad ? list.filter((thing) => this.level(thing) === 'bad').length : 0;
    let said = bad ? `${whole.format(bad)} ${this.bad} of ${whole.format(all)}` : all ? whole.format(all) : 'none';
    if (this.shown < this.rows.size) said += `, ${whole.format(this.shown)} shown`;
    attribute(this.count, 'data-level', bad ? 'bad' : 'none');
    write(this.count, said);
  }

  /** A box that scrolls can be reached by keyboard, another is no stop. */
  reach() {
    const scrolls = this.box.scrollHeight > this.box.clientHeight + 1 || this.box.scrollWidth > this.box.clientWidth + 1;
    if (scrolls === this.box.hasAttribute('tabindex')) return;
    if (!scrolls) {
      for (const a of ['tabindex', 'role', 'aria-labelledby']) this.box.removeAttribute(a);
      return;
    }
    this.box.tabIndex = 0;
    this.box.setAttribute('role', 'region');
    this.box.setAttribute('aria-labelledby', `${this.id}-title`);
  }
}

/** @returns {Set<Element>} the rows that hold the focus or a part of the selection */
function heldRows(body) {
  const held = new Set();
  const active = document.activeElement?.closest('tr');
  if (active && body.contains(active)) held.add(active);
  const selection = getSelection();
  if (!selection || selection.isCollapsed || !selection.containsNode(body, true)) return held;
  for (const tr of body.children) if (selection.containsNode(tr, true)) held.add(tr);
  return held;
}


/** @returns {(word: string) => string} what words stand for; a stranger's is no name of Object's own */
const among = (words, otherwise) => (word) => (Object.hasOwn(words, word) ? words[word] : otherwise);

const stateLevel = among({ open: 'bad', ejected: 'bad', half_open: 'warn', slow_start: 'warn', closed: 'good', healthy: 'good' }, 'none');
const urgent = among({ open: 'bad', eject: 'bad', leak: 'bad' }, 'warn');
const levelOfState = (r) => stateLevel(r.state);
const limitLevel = (r) => (r.held ? 'bad' : r.queued || (r.limit && r.in_flight >= r.limit) ? 'warn' : 'good');
const poolLevel = (r) => (r.waiting ? 'warn' : 'good');
const decisionLevel = (r) => (r.level === 'warn' ? urgent(r.action) : 'none');
const never = () => 'none';

function limit(r) {
  if (!(r.limit > 0)) return '';
  const per = !r.per ? '' : r.per === 1000 ? '/s' : ` per ${duration(r.per)}`;
  return whole.format(r.limit) + per + (r.keys ? `, ${many(r.keys, 'key', 'keys')}` : '');
}

const tables = {
  traffic: new Table('traffic', (r) => `${r.inbound ? 'requests' : 'tries'} ${r.key}`, never, [
    name((r) => (r.inbound ? 'requests' : r.key), 'all tries'),
    chart(perSecond, { name: 'tries', look: 'main', of: (r) => r.tries }),
    chart(perSecond, { name: 'refused', look: 'refused', of: (r) => r.refused }, { name: 'failed', look: 'failed', of: (r) => r.failed }),
    chart(time, { name: 'mean', look: 'main', gaps: true, of: (r) => r.mean }, { name: 'slowest', look: 'second', gaps: true, of: (r) => r.slowest }),
  ]),
  breakers: new Table('breakers', (r) => r.key, levelOfState, [
    state(levelOfState, (r) => word(r.state) + (r.forced ? ', forced' : '')),
    name((r) => r.key, '(no key)'),
    figure((r) => (r.calls ? `${whole.format(r.failures ?? 0)} of ${whole.format(r.calls)}` : some(r.failures))),
    figure((r) => some(r.slow)),
    figure((r) => some(r.trials)),
    figure((r) => countdown(r.next_trial) || (r.state === 'open' && !r.forced ? 'due' : '')),
  ], 'open'),
  limits: new Table('limits', (r) => `${r.policy} ${r.key}`, limitLevel, [
    text((r) => word(r.policy)),
    name((r) => r.key, '(all)'),
    figure(limit),
    share((r) => r.in_flight, (r) => (r.per ? 0 : r.limit)),
    figure((r) => some(r.queued)),
    figure((r) => countdown(r.held)),
  ], 'held'),
  endpoints: new Table('endpoints', (r) => `${r.key} ${r.endpoint}`, levelOfState, [
    state(levelOfState, (r) => word(r.state)),
    name((r) => r.endpoint),
    name((r) => r.key),
    ...['in_flight', 'waiting', 'active', 'idle'].map((f) => figure((r) => some(r[f]))),
    figure((r) => maybe(r.oldest)),
    figure((r) => maybe(r.newest)),
    figure((r) => maybe(r.latency)),
    figure((r) => some(r.failures)),
    figure((r) => some(r.ejections)),
    figure((r) => countdown(r.returns) || (r.state === 'ejected' ? 'a probe' : '')),
  ], 'ejected'),
  pools: new Table('pools', (r) => r.key, poolLevel, [
    name((r) => r.key, '(no key)'),
    share((r) => r.active, (r) => r.max),
    ...['idle', 'creating', 'waiting'].map((f) => figure((r) => some(r[f]))),
    figure((r) => maybe(r.oldest)),
    figure((r) => maybe(r.newest)),
  ]),
  budgets: new Table('budgets', (r) => r.key, (r) => (r.tokens < 1 ? 'warn' : 'good'), [
    name((r) => r.key, '(no key)'),
    figure((r) => tenth.format(r.tokens ?? 0) + (r.max ? ` of ${whole.format(r.max)}` : '')),
  ]),
  decisions: new Table('decisions', (r) => String(r.id), decisionLevel, [
    moment,
    figure((r) => (r.count > 1 ? `× ${whole.format(r.count)}` : '')),
    state(decisionLevel, (r) => `${plain(r.policy)}.${plain(r.action)}${r.shadow ? ' (shadow)' : ''}`),
    classed('reason', text((r) => word(r.reason))),
    place,
    figure((r) => maybe(r.took)),
    name((r) => [r.note, r.error].filter(Boolean).join(': ')),
    link,
  ]),
};

// ---- The one sentence

/** @returns {{level: string, words: string, states: string}} states are the words without what changes all the time */
function trouble(frame) {
  const [states, rates] = [[], []];
  let level = 'good';
  const raise = (to) => { if (level !== 'bad') level = to; };
  const count = (list, is, to, say) => {
    const things = frame[list] ?? [];
    const n = things.filter(is).length;
    if (!n) return;
    raise(to);
    const beyond = n === things.length && frame.more?.[list]; // the most urgent come first
    states.push(beyond ? say(n).replace(/^\S+/, '$& or more') : say(n));
  };
  count('breakers', (b) => b.state === 'open', 'bad', (n) => many(n, 'breaker open', 'breakers open'));
  count('breakers', (b) => b.state === 'half_open', 'warn', (n) => many(n, 'breaker half-open', 'breakers half-open'));
  count('endpoints', (e) => e.state === 'ejected', 'bad', (n) => many(n, 'endpoint ejected', 'endpoints ejected'));
  count('limits', (l) => l.held, 'bad', (n) => many(n, 'key held back', 'keys held back'));
  count('pools', (p) => p.waiting, 'warn', (n) => many(n, 'pool with callers waiting', 'pools with callers waiting'));

  const lately = (list) => (list ?? []).slice(-4, -1).reduce((sum, n) => sum + n, 0) / 3; // of whole seconds
  const sums = (frame.traffic ?? []).filter((r) => !r.key); // of tries, and of requests
  const refused = sums.reduce((sum, r) => sum + lately(r.refused), 0);
  if (refused) {
    raise('warn');
    rates.push(`${number(refused)} refusals/s`);
  }
  for (const r of sums) {
    const [tries, failed] = [lately(r.tries), lately(r.failed)];
    if (!failed || failed < tries / 100) continue;
    raise(failed >= tries / 2 ? 'bad' : 'warn');
    rates.push(`${whole.format((100 * failed) / tries)} % of ${r.inbound ? 'requests' : 'tries'} fail`);
  }
  const words = [...states, ...rates].join(', ') || 'all is well';
  return { level, words, states: [level, ...states].join(', ') };
}

const announcing = { every: 5000, at: -Infinity, states: '' };

function summarize(frame) {
  const t = trouble(frame);
  attribute($('summary'), 'data-level', t.level);
  write($('summary').querySelector('.shape'), shapes[t.level]);
  write($('summary').querySelector('.words'), t.words);
  entitle(t);
  const now = performance.now();
  if (t.states === announcing.states || now - announcing.at < announcing.every) return;
  Object.assign(announcing, { at: now, states: t.states });
  write($('announced'), t.words);
}

function entitle(t) {
  const title = connection.state === 'live' ? `${shapes[t.level]} ${t.words} · magnetar` : `? ${connection.state}… · magnetar`;
  if (document.title !== title) document.title = title;
}

// ---- Rendering: at most once a frame, and not where nobody sees it

const view = { frame: null, raw: null, due: false, paused: false, at: 0, terms: [] };

function render() {
  view.due = false;
  if (view.raw !== null && !view.paused) {
    view.frame = JSON.parse(view.raw);
    view.raw = null;
    view.at = connection.at;
  }
  const { frame, terms } = view;
  if (!frame) return;
  for (const [list, table] of Object.entries(tables)) table.render(frame[list] ?? [], frame.more?.[list], terms);
  summarize(frame);
  showTime($('at'), frame.at);
  showTime($('started'), frame.started, date);
}

function ask() {
  if (view.due) return;
  view.due = true;
  requestAnimationFrame(render);
}

// ---- The connection: EventSource comes back by itself, but not from every answer, and not from silence

const connection = { source: null, state: 'connecting', at: 0, heard: 0, silence: 10_000, again: 0 };

function connect() {
  clearTimeout(connection.again);
  connection.source?.close();
  connection.at = performance.now();
  const source = new EventSource(location.href);
  connection.source = source;
  source.onmessage = (event) => {
    connection.at = connection.heard = performance.now();
    connection.state = 'live';
    view.raw = event.data;
    if (document.hidden) entitle(trouble(JSON.parse(event.data))); // a tab's title is all there is to see of it
    else ask();
    tellConnection();
  };
  source.onerror = () => {
    connection.state = 'reconnecting';
    if (source.readyState === EventSource.CLOSED) connection.again = setTimeout(connect, 2000);
    tellConnection();
  };
}

/** @returns {string} how long ago that was, in seconds at least */
const since = (at) => duration(Math.max(1000, performance.now() - at)).replace(/\.\d/, '');

function tellConnection() {
  const late = performance.now() - connection.heard >= 2000;
  const state = connection.state === 'live' && late ? 'late' : connection.state;
  if ($('connection').dataset.state !== state) {
    attribute($('connection'), 'data-state', state);
    if (view.frame) entitle(trouble(view.frame));
  }
  const said = state === 'late' ? 'no news' : state === 'live' ? 'live' : `${state}…`;
  write($('connection').firstElementChild, said);
  write($('connection').lastElementChild, !view.frame ? '' : late ? `, last frame ${since(connection.heard)} ago` : ', last frame now');
  const stale = view.frame !== null && state !== 'live'; // what was well need not be now
  $('summary').classList.toggle('stale', stale);
  const asOf = `as of ${since(view.paused ? view.at : connection.heard)} ago`;
  write($('summary').querySelector('.aside'), view.paused ? `paused, ${asOf}` : stale ? asOf : '');
}

setInterval(() => {
  if (performance.now() - connection.at > connection.silence) {
    connection.state = 'reconnecting';
    connect();
  }
  if (!document.hidden) tellConnection();
}, 1000);

document.addEventListener('visibilitychange', () => { if (!document.hidden) ask(); });

// ---- Hands

function pause() {
  view.paused = !view.paused;
  $('pause').setAttribute('aria-pressed', String(view.paused));
  document.body.classList.toggle('paused', view.paused);
  tellConnection();
  ask();
}

function narrow() {
  view.terms = $('filter').value.toLowerCase().split(/\s+/).filter(Boolean);
  ask();
}

$('pause').addEventListener('click', pause);
$('filter').addEventListener('input', narrow);
$('help').addEventListener('click', () => $('keys').showModal());
$('close').addEventListener('click', () => $('keys').close());

document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || $('keys').open) return;
  const filter = $('filter');
  if (event.key === 'Escape') {
    filter.value = '';
    narrow();
    if (document.activeElement === filter) filter.blur();
    return;
  }
  if (document.activeElement === filter) return;
  const action = { '/': () => filter.focus(), p: pause, '?': () => $('keys').showModal() }[event.key];
  if (!action) return;
  event.preventDefault();
  action();
});

connect();
