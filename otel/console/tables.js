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
    write(this.more, left ? `${whole.format(left)} more not shown${terms.length ? ', nor searched' : ''}` : '');
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
